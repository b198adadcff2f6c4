"""``python -m dashzoo``."""

from dashzoo.cli import main

if __name__ == "__main__":
    main()

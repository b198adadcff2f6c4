"""The Hub: fetching, listing and pushing bundles with `huggingface_hub`, used as it is.

``names`` says what is a repository, ``fetching`` brings one commit of it here, ``listing`` looks
for models by tag, ``pushing`` makes one commit of a bundle, ``failures`` turns what the client
raises into our errors. Tokens, endpoint, cache and offline mode are the client's: HF_TOKEN,
HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE.
"""

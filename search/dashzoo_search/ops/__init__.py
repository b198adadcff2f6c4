"""The operator: aggregated convolution and the Fourier convolution it stands on."""

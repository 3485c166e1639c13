"""Network architectures under the contract; each is built of timm's own modules."""

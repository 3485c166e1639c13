"""Reports out of a trained model: by transformers, the reference, or by vLLM, the fast one; resumable, and checked."""

"""The words sent to language models: versioned files that never change once released."""

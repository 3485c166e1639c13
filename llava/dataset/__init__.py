"""What a trainer reads: tables of studies, read, tokenised and packed into steps."""

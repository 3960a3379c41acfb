"""What is stored beyond the engine's model. All times are timezone-aware UTC."""

"""Looking whether the addresses of products answer, when somebody asks for it; never while a page waits."""

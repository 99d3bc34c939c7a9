"""``python -m rag_pipeline`` is the ``rag-pipeline`` command."""

if __name__ == "__main__":
    import sys

    try:
        from rag_pipeline.cli.main import main
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(main())

"""A Celery app with one task. With a running Redis:

celery -A celery_tasks worker
python -c "from celery_tasks import ingest; ingest.delay('../documents/welcome.txt')"
"""

import os
from pathlib import Path

from celery import Celery

from rag_pipeline.adapters.celery import show

app = Celery("celery_tasks", broker=os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0"))

show(app)  # reports the tasks


@app.task(autoretry_for=(ConnectionError,), retry_backoff=True)
def ingest(path: str) -> dict[str, int]:
    text = Path(path).read_text(encoding="utf-8")
    return {"paragraphs": len(text.split("\n\n"))}

"""Where assets are kept (see `runstream_service.assets`): a local directory, or an object store (S3, GCS, Azure)."""

from runstream_ingest.assets.local import LocalAssets
from runstream_ingest.assets.objects import ObjectAssets

__all__ = ["LocalAssets", "ObjectAssets"]

"""The data-access layer: every SELECT over the read models, behind methods that take a scope.

A method takes typed arguments and returns records or Arrow tables. What is outside of the scope is to it as if it were
not there. Handlers, foreign clients and the writing side's look-ups call these and nothing else of the store.
"""

from typing import Self

from runstream_query.repositories.artifact_files import ArtifactFileRepository
from runstream_query.repositories.artifacts import ArtifactRepository
from runstream_query.repositories.assets import AssetRepository
from runstream_query.repositories.attributes import AttributeRepository
from runstream_query.repositories.charts import ChartRepository
from runstream_query.repositories.entities import EntityRepository
from runstream_query.repositories.events import EventRepository
from runstream_query.repositories.fields import FieldRepository
from runstream_query.repositories.lineage import LineageRepository
from runstream_query.repositories.lines import LineRepository
from runstream_query.repositories.output import OutputRepository
from runstream_query.repositories.past_runs import PastRunRepository
from runstream_query.repositories.projects import ProjectRepository
from runstream_query.repositories.quarantine import QuarantineRepository
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.runs import RunRepository
from runstream_query.repositories.series import SeriesRepository
from runstream_query.repositories.summaries import SummaryRepository
from runstream_query.repositories.tails import TailRepository
from runstream_query.repositories.watermarks import WatermarkRepository
from runstream_service.store import QueryClass, StoreReader


class Repositories:
    """Every repository over one reader: what one request reads, in slots of one class of queries."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.artifacts = ArtifactRepository(reader)
        self.artifact_files = ArtifactFileRepository(reader)
        self.assets = AssetRepository(reader)
        self.attributes = AttributeRepository(reader)
        self.charts = ChartRepository(reader)
        self.entities = EntityRepository(reader)
        self.events = EventRepository(reader)
        self.lineage = LineageRepository(reader)
        self.fields = FieldRepository(reader)
        self.lines = LineRepository(reader)
        self.output = OutputRepository(reader)
        self.past_runs = PastRunRepository(reader)
        self.projects = ProjectRepository(reader)
        self.quarantine = QuarantineRepository(reader)
        self.runs = RunRepository(reader)
        self.series = SeriesRepository(reader)
        self.summaries = SummaryRepository(reader)
        self.tails = TailRepository(reader)
        self.watermarks = WatermarkRepository(reader)

    @classmethod
    def over(cls, store: StoreReader, of: QueryClass) -> Self:
        """Return the repositories of a store for queries of one class."""
        return cls(Reader(store, of))

"""ModelService: translate, call, translate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mediagate._gen.mediagate.v1 import models_pb2, models_pb2_grpc
from mediagate.api import convert
from mediagate.api.call import Call
from mediagate.routing.catalog import ModelCatalog
from mediagate.routing.health import ReadHealth


@dataclass(frozen=True, slots=True)
class ModelServicer(models_pb2_grpc.ModelServiceServicer):
    """Serves `mediagate.v1.ModelService`."""

    catalog: ModelCatalog
    health: ReadHealth
    started_at: datetime

    async def ListModels(self, _request: models_pb2.ListModelsRequest, call: Call) -> models_pb2.ListModelsResponse:
        fares = await self.health.by_model()
        models = [
            convert.model_to_proto(name, self.started_at, fares[name])
            for name in self.catalog.names()
            if call.principal.may_use_model(name)
        ]
        return models_pb2.ListModelsResponse(object="list", data=models)

    async def GetModel(self, request: models_pb2.GetModelRequest, call: Call) -> models_pb2.Model:
        name = self.catalog.require(call.principal, request.model)
        return convert.model_to_proto(name, self.started_at, await self.health.of(name))

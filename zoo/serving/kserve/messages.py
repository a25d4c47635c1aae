"""Messages of the protocol over gRPC, built when they are imported: no code is generated.

Fields and their numbers: specification/protocol/open_inference_grpc.proto of the Open Inference
Protocol; for configuration, statistics and repository index, grpc_service.proto and
model_config.proto of Triton (github.com/triton-inference-server/common), of which only what this
service answers is declared; for health, grpc/health/v1/health.proto of gRPC.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_NAME = "string name = 1; string version = 2"
_TENSOR = """string name = 1; string datatype = 2; repeated int64 shape = 3;
    map<string,InferParameter> parameters = 4; InferTensorContents contents = 5"""

_INFERENCE = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "bool live = 1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "bool ready = 1",
    "ModelReadyRequest": _NAME,
    "ModelReadyResponse": "bool ready = 1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "string name = 1; string version = 2; repeated string extensions = 3",
    "ModelMetadataRequest": _NAME,
    "TensorMetadata": "string name = 1; string datatype = 2; repeated int64 shape = 3",
    "ModelMetadataResponse": """string name = 1; repeated string versions = 2; string platform = 3;
        repeated TensorMetadata inputs = 4; repeated TensorMetadata outputs = 5""",
    "InferParameter": """oneof bool bool_param = 1; oneof int64 int64_param = 2;
        oneof string string_param = 3; oneof double double_param = 4;
        oneof uint64 uint64_param = 5""",
    "InferTensorContents": """repeated bool bool_contents = 1; repeated int32 int_contents = 2;
        repeated int64 int64_contents = 3; repeated uint32 uint_contents = 4;
        repeated uint64 uint64_contents = 5; repeated float fp32_contents = 6;
        repeated double fp64_contents = 7; repeated bytes bytes_contents = 8""",
    "InferInputTensor": _TENSOR,
    "InferRequestedOutputTensor": "string name = 1; map<string,InferParameter> parameters = 2",
    "ModelInferRequest": """string model_name = 1; string model_version = 2; string id = 3;
        map<string,InferParameter> parameters = 4; repeated InferInputTensor inputs = 5;
        repeated InferRequestedOutputTensor outputs = 6; repeated bytes raw_input_contents = 7""",
    "InferOutputTensor": _TENSOR,
    "ModelInferResponse": """string model_name = 1; string model_version = 2; string id = 3;
        map<string,InferParameter> parameters = 4; repeated InferOutputTensor outputs = 5;
        repeated bytes raw_output_contents = 6""",
    "ModelStreamInferResponse": "string error_message = 1; ModelInferResponse infer_response = 2",
    "ModelConfigRequest": _NAME,
    "ModelInput": """string name = 1; DataType data_type = 2; repeated int64 dims = 4;
        bool optional = 8""",
    "ModelOutput": "string name = 1; DataType data_type = 2; repeated int64 dims = 3",
    "ModelDynamicBatching": "uint64 max_queue_delay_microseconds = 2",
    "ModelConfig": """string name = 1; string platform = 2; int32 max_batch_size = 4;
        repeated ModelInput input = 5; repeated ModelOutput output = 6;
        ModelDynamicBatching dynamic_batching = 11; string backend = 17""",
    "ModelConfigResponse": "ModelConfig config = 1",
    "ModelStatisticsRequest": _NAME,
    "StatisticDuration": "uint64 count = 1; uint64 ns = 2",
    "InferStatistics": "StatisticDuration success = 1; StatisticDuration fail = 2",
    "ModelStatistics": """string name = 1; string version = 2; uint64 last_inference = 3;
        uint64 inference_count = 4; uint64 execution_count = 5;
        InferStatistics inference_stats = 6""",
    "ModelStatisticsResponse": "repeated ModelStatistics model_stats = 1",
    "RepositoryIndexRequest": "string repository_name = 1; bool ready = 2",
    "ModelIndex": "string name = 1; string version = 2; string state = 3; string reason = 4",
    "RepositoryIndexResponse": "repeated ModelIndex models = 1",
}
_DATA_TYPES = {
    "DataType": {
        **{"TYPE_INVALID": 0, "TYPE_BOOL": 1, "TYPE_UINT8": 2, "TYPE_UINT16": 3, "TYPE_UINT32": 4},
        **{"TYPE_UINT64": 5, "TYPE_INT8": 6, "TYPE_INT16": 7, "TYPE_INT32": 8, "TYPE_INT64": 9},
        **{"TYPE_FP16": 10, "TYPE_FP32": 11, "TYPE_FP64": 12, "TYPE_STRING": 13, "TYPE_BF16": 14},
    }
}
_HEALTH = {
    "HealthCheckRequest": "string service = 1",
    "HealthCheckResponse": "ServingStatus status = 1",
}
_STATES = {"ServingStatus": {"UNKNOWN": 0, "SERVING": 1, "NOT_SERVING": 2, "SERVICE_UNKNOWN": 3}}

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = ("bool", "int32", "int64", "uint32", "uint64", "float", "double", "string", "bytes")


def _build(
    package: str, messages: dict[str, str], enums: dict[str, dict[str, int]]
) -> dict[str, Any]:
    """Return the classes of messages by name. Fields are written as in proto3, with `oneof` first.

    Messages that the sources nest in others lie beside them: their bytes are the same.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    for name, values in enums.items():
        enum = file.enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for line in filter(None, fields.split(";")):
            _add_field(message, f".{package}", enums, line.split())
    # A pool of its own: other packages of the process may declare the same names.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    classes = message_factory.GetMessageClassesForFiles([file.name], pool)
    return {name: classes[f"{package}.{name}"] for name in messages}


def _add_field(
    message: Any, package: str, enums: dict[str, dict[str, int]], words: list[str]
) -> None:
    *labels, kind, name, _, number = words
    field = message.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if kind.startswith("map<"):
        key, value = kind[4:-1].split(",")
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, package, enums, [key, "key", "=", "1"])
        _add_field(entry, package, enums, [value, "value", "=", "2"])
        field.label, field.type = _Field.LABEL_REPEATED, _Field.TYPE_MESSAGE
        field.type_name = f"{package}.{message.name}.{entry.name}"
        return
    if "repeated" in labels:
        field.label = _Field.LABEL_REPEATED
    if "oneof" in labels:
        if not message.oneof_decl:
            message.oneof_decl.add(name="choice")
        field.oneof_index = 0
    if kind in _SCALARS:
        field.type = _Field.Type.Value(f"TYPE_{kind.upper()}")
    else:
        field.type = _Field.TYPE_ENUM if kind in enums else _Field.TYPE_MESSAGE
        field.type_name = f"{package}.{kind}"


INFERENCE = _build("inference", _INFERENCE, _DATA_TYPES)
"""Classes of the package `inference`, by name."""

HEALTH = _build("grpc.health.v1", _HEALTH, _STATES)
"""Classes of gRPC's health checking protocol, by name."""

package wire

import "google.golang.org/protobuf/encoding/protowire"

// Paths of the calls.
const (
	SyncDefinitions = "/featmesh.sync.v1.SyncService/SyncDefinitions"
	SyncEvaluations = "/featmesh.sync.v1.SyncService/SyncEvaluations"
	Evaluate        = "/featmesh.evaluation.v1.EvaluationService/Evaluate"
)

// DefinitionsRequest opens a server SDK's stream that holds revision since.
func DefinitionsRequest(since int64) []byte {
	return appendField(appendVarint(nil, 1, since), 2, sdk())
}

// EvaluationsRequest opens a client SDK's stream for a user.
func EvaluationsRequest(since int64, user string) []byte {
	return appendField(appendField(appendVarint(nil, 1, since), 2, sdk()), 3, context(user))
}

// EvaluateRequest asks for one flag of a user.
func EvaluateRequest(user, flag string) []byte {
	return appendField(appendField(nil, 1, context(user)), 2, []byte(flag))
}

func sdk() []byte {
	return appendField(appendField(nil, 1, []byte("featmesh-load")), 2, []byte("1"))
}

func context(user string) []byte { return appendField(nil, 1, []byte(user)) }

func appendVarint(data []byte, number protowire.Number, value int64) []byte {
	if value == 0 {
		return data
	}
	return protowire.AppendVarint(protowire.AppendTag(data, number, protowire.VarintType), uint64(value))
}

func appendField(data []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(data, number, protowire.BytesType), value)
}

package wire

import "google.golang.org/protobuf/encoding/protowire"

// Paths of the calls.
const (
	SyncDefinitions = "/featmesh.sync.v1.SyncService/SyncDefinitions"
	SyncEvaluations = "/featmesh.sync.v1.SyncService/SyncEvaluations"
	Evaluate        = "/featmesh.evaluation.v1.EvaluationService/Evaluate"
)

// DefinitionsRequest opens a server SDK's stream that holds what came with this token, a
// serialised ResumeToken; empty for nothing.
func DefinitionsRequest(token []byte) []byte { return appendField(resume(token), 2, sdk()) }

// EvaluationsRequest opens a client SDK's stream for a user.
func EvaluationsRequest(token []byte, user string) []byte {
	return appendField(DefinitionsRequest(token), 3, context(user))
}

// EvaluateRequest asks for one flag of a user.
func EvaluateRequest(user, flag string) []byte {
	return appendField(appendField(nil, 1, context(user)), 2, []byte(flag))
}

func sdk() []byte {
	return appendField(appendField(nil, 1, []byte("featmesh-load")), 2, []byte("1"))
}

func context(user string) []byte { return appendField(nil, 1, []byte(user)) }

func resume(token []byte) []byte {
	if len(token) == 0 {
		return nil
	}
	return appendField(nil, 1, token)
}

func appendField(data []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(data, number, protowire.BytesType), value)
}

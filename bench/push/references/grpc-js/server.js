// A minimal @grpc/grpc-js server: SyncDefinitions sends the current frame, and then each frame
// that is pushed, the same bytes on every stream. Control as in generator/cmd/reference.
import { createInterface } from "node:readline";
import { Server, ServerCredentials } from "@grpc/grpc-js";

const LIFETIME_MS = 15 * 60 * 1000;
setTimeout(() => process.exit(1), LIFETIME_MS).unref();

const same = (bytes) => bytes;
const streams = new Set();
let current = Buffer.alloc(0);

const server = new Server();
server.addService(
  {
    SyncDefinitions: {
      path: "/featmesh.sync.v1.SyncService/SyncDefinitions",
      requestStream: false,
      responseStream: true,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  },
  {
    SyncDefinitions(call) {
      streams.add(call);
      call.on("cancelled", () => streams.delete(call));
      call.on("error", () => streams.delete(call));
      call.write(current);
    },
  },
);

const answer = (fields) => process.stdout.write(JSON.stringify(fields) + "\n");

server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  answer({ port });
  createInterface({ input: process.stdin })
    .on("line", (line) => {
      const at = Math.round((performance.timeOrigin + performance.now()) * 1e6);
      current = Buffer.from(JSON.parse(line).frame, "base64");
      for (const call of streams) call.write(current);
      answer({ streams: streams.size, at });
    })
    .on("close", () => process.exit(0));
});

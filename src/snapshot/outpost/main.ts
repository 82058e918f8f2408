import { messageOf } from "../../base/index.js";
import { WorkerThread } from "../thread.js";
import type { FromOutpost, ToOutpost } from "./protocol.js";

/**
 * The outpost: a process in a user namespace of its own that holds the data plane's threads for an engine that is not in it. It lives as
 * long as the engine's process does, and takes no orders but from there: a Ctrl-C is the engine's to answer.
 */
const threads = new Map<number, WorkerThread>();
const answer = (message: FromOutpost): void => void process.send?.(message);

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
// At once, and with every thread, whatever call one of them is in.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.on("message", (message: ToOutpost) => {
  const { thread } = message;
  switch (message.type) {
    case "start":
      threads.set(
        thread,
        new WorkerThread(message.workerFile, message.workerData, {
          message: (text) => answer({ type: "message", thread, message: text }),
          failed: (error) => answer({ type: "failed", thread, error: messageOf(error) }),
          exited: () => {
            threads.delete(thread);
            answer({ type: "exited", thread });
          },
        }),
      );
      break;
    case "post":
      threads.get(thread)?.post(message.message);
      break;
    case "stop":
      void threads.get(thread)?.stop();
  }
});

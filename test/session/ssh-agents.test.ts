import { execFileSync, spawn, spawnSync } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSshAgents } from "../../src/session/index.js";

/** Keys as ssh-keygen and openssl write them: a name each, and what ssh-add calls its type. */
const KEYS = [
  { name: "ed25519", args: ["-t", "ed25519"], type: "ED25519" },
  { name: "rsa", args: ["-t", "rsa", "-b", "2048"], type: "RSA" },
  { name: "rsa-pem", args: ["-t", "rsa", "-b", "2048", "-m", "PEM"], type: "RSA" },
  { name: "rsa-pkcs8", args: ["-t", "rsa", "-b", "2048", "-m", "PKCS8"], type: "RSA" },
  { name: "ecdsa-256", args: ["-t", "ecdsa", "-b", "256"], type: "ECDSA" },
  { name: "ecdsa-384", args: ["-t", "ecdsa", "-b", "384", "-m", "PEM"], type: "ECDSA" },
  { name: "ecdsa-521", args: ["-t", "ecdsa", "-b", "521"], type: "ECDSA" },
] as const;

describe("ssh agents", () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "ashlar-ssh-"));
  const at = (name: string) => path.join(dir, name);
  let count = 0;
  const temporary = () => at(`served-${count++}`);
  const opened = (...paths: readonly string[]) => openSshAgents([{ id: "default", paths }]);
  const served = async (paths: readonly string[], directory = temporary()) => {
    const socket = await (await opened(...paths)).open("default", directory);
    if (!socket) throw new Error("no agent");
    return socket;
  };
  const add = (socket: string, ...args: readonly string[]) => {
    const { status, stdout } = spawnSync("ssh-add", args, {
      env: { ...process.env, SSH_AUTH_SOCK: socket, SSH_ASKPASS: "/bin/true", SSH_ASKPASS_REQUIRE: "force" },
      encoding: "utf8",
    });
    return { status, stdout };
  };
  /** The programs block this process, which serves the agent: so they run below a shell that is waited for elsewhere. */
  const ask = (socket: string, script: string) =>
    new Promise<{ readonly code: number | null; readonly out: string }>((resolve) => {
      const env = { ...process.env, SSH_AUTH_SOCK: socket, SSH_ASKPASS: "/bin/true", SSH_ASKPASS_REQUIRE: "force" };
      const child = spawn("/bin/sh", ["-c", script], { env, cwd: dir, stdio: ["ignore", "pipe", "pipe"] });
      let out = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (out += chunk));
      child.once("close", (code) => resolve({ code, out }));
    });
  const serving = async <T>(
    paths: readonly string[],
    work: (socket: { readonly path: string }) => Promise<T>,
  ): Promise<T> => {
    await using socket = await served(paths);
    return await work(socket);
  };
  const real = { socket: at("real.sock"), pid: 0 };

  beforeAll(() => {
    for (const { name, args } of KEYS) {
      execFileSync("ssh-keygen", ["-q", "-N", "", "-C", `${name} of the test`, "-f", at(name), ...args]);
    }
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "secret phrase", "-f", at("locked")]);
    execFileSync("ssh-keygen", ["-q", "-t", "rsa", "-m", "PEM", "-N", "secret phrase", "-f", at("locked-pem")]);
    const { privateKey } = crypto.generateKeyPairSync("ed25519");
    fs.writeFileSync(at("ed25519-pkcs8"), privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    fs.writeFileSync(at("message"), "what is to be signed\n");
    const said = execFileSync("ssh-agent", ["-s", "-a", real.socket], { encoding: "utf8" });
    real.pid = Number(/SSH_AGENT_PID=(\d+)/.exec(said)?.[1]);
    expect(add(real.socket, "-q", at("ed25519"), at("rsa")).status).toBe(0);
  });
  afterAll(async () => {
    if (real.pid > 0) process.kill(real.pid);
    fs.rmSync(dir, { recursive: true, force: true });
  });

  const signAndVerify = (name: string) =>
    [
      `rm -f message.sig; ssh-keygen -q -Y sign -f ${name}.pub -n test message`,
      `echo "me $(cat ${name}.pub)" > allowed`,
      "ssh-keygen -Y verify -f allowed -I me -n test -s message.sig < message",
    ].join(" && ");

  for (const { name, type } of KEYS) {
    it(`lists a key of type ${name} and signs with it`, async () => {
      await serving([at(name)], async ({ path: socket }) => {
        const listed = await ask(socket, "ssh-add -l");
        expect(listed.code).toBe(0);
        expect(listed.out).toContain(`(${type})`);
        expect(listed.out).toContain(
          execFileSync("ssh-keygen", ["-lf", at(`${name}.pub`)], { encoding: "utf8" }).split(" ")[1],
        );
        const key = fs.readFileSync(at(name));
        fs.rmSync(at(name)); // ssh-keygen would sign with it itself
        const signed = await ask(socket, signAndVerify(name));
        fs.writeFileSync(at(name), key, { mode: 0o600 });
        expect(signed).toEqual({ code: 0, out: expect.stringContaining('Good "test" signature') });
      });
    });
  }

  it("holds several keys, PKCS#8 among them, and names those of OpenSSH's format by their comments", async () => {
    await serving([at("ed25519"), at("ed25519-pkcs8"), at("rsa")], async ({ path: socket }) => {
      const { out } = await ask(socket, "ssh-add -l");
      expect(out.trim().split("\n")).toHaveLength(3);
      expect(out).toContain("ed25519 of the test");
      expect(out).toContain("rsa of the test");
    });
  });

  for (const source of ["keys", "an agent"] as const) {
    it(`refuses to add, to remove, to lock and to hand out keys of ${source}`, async () => {
      const paths = source === "keys" ? [at("ed25519"), at("rsa")] : [real.socket];
      await serving(paths, async ({ path: socket }) => {
        const before = await ask(socket, "ssh-add -L");
        expect(before.out.trim().split("\n")).toHaveLength(2);
        for (const script of [
          "ssh-add ecdsa-256",
          "ssh-add -d ed25519.pub",
          "ssh-add -D",
          "ssh-add -x",
          "ssh-add -X",
        ]) {
          expect((await ask(socket, script)).code).not.toBe(0);
        }
        expect(await ask(socket, "ssh-add -L")).toEqual(before);
      });
      if (source === "an agent") expect(add(real.socket, "-l").stdout.trim().split("\n")).toHaveLength(2);
    });
  }

  it("forwards an agent's keys and signatures to several clients at once", async () => {
    await serving([real.socket], async ({ path: socket }) => {
      const all = await Promise.all(Array.from({ length: 8 }, () => ask(socket, "ssh-add -l")));
      expect(new Set(all.map(({ out }) => out))).toEqual(new Set([add(real.socket, "-l").stdout]));
      expect((await ask(socket, "ssh-add -T rsa.pub")).code).toBe(0);
    });
  });

  it("takes the last agent of an id, and has none of others", async () => {
    const agents = await openSshAgents([
      { id: "mine", paths: [at("ed25519")] },
      { id: "mine", paths: [at("rsa")] },
    ]);
    await using socket = await agents.open("mine", temporary());
    expect((await ask(socket?.path ?? "", "ssh-add -l")).out).toContain("(RSA)");
    expect(await agents.open("default", temporary())).toBeUndefined();
  });

  describe("a client that breaks the protocol", () => {
    const LIST = Buffer.from([0, 0, 0, 1, 11]);
    /** What comes back for BYTES, until the other side or a listing's answer ends it. */
    const talk = (socket: string, bytes: Uint8Array, enough: (answer: Buffer) => boolean) =>
      new Promise<Buffer>((resolve) => {
        const client = net.connect({ path: socket });
        let answer = Buffer.alloc(0);
        client.on("error", () => {}).on("close", () => resolve(answer));
        client.on("data", (chunk) => {
          answer = Buffer.concat([answer, chunk]);
          if (enough(answer)) client.destroy();
        });
        client.write(bytes);
      });
    const never = () => false;

    it("is hung up on where a message is empty or longer than any may be", async () => {
      await serving([at("ed25519")], async ({ path: socket }) => {
        expect(await talk(socket, Buffer.from([0, 0, 0, 0]), never)).toHaveLength(0);
        expect(await talk(socket, Buffer.from([0xff, 0xff, 0xff, 0xff, 11]), never)).toHaveLength(0);
        expect(await talk(socket, Buffer.from([0, 4, 0, 1, 13]), never)).toHaveLength(0);
      });
    });
    it("has messages of other types refused, and what follows them answered", async () => {
      await serving([at("ed25519")], async ({ path: socket }) => {
        const extension = Buffer.from([0, 0, 0, 6, 27, 0, 0, 0, 1, 11]);
        const answer = await talk(socket, Buffer.concat([extension, LIST]), (bytes) => bytes.length > 9);
        expect([...answer.subarray(0, 5)]).toEqual([0, 0, 0, 1, 5]);
        expect(answer[9]).toBe(12);
      });
    });
    it("has a request for a signature that is cut short, or by a key that is not there, refused", async () => {
      await serving([at("ed25519")], async ({ path: socket }) => {
        const cut = Buffer.from([0, 0, 0, 5, 13, 0, 0, 0, 9]);
        const stranger = Buffer.from([0, 0, 0, 14, 13, 0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        const answer = await talk(socket, Buffer.concat([cut, stranger]), (bytes) => bytes.length >= 10);
        expect([...answer]).toEqual([0, 0, 0, 1, 5, 0, 0, 0, 1, 5]);
      });
    });
    it("is understood byte by byte", async () => {
      await serving([at("ed25519")], async ({ path: socket }) => {
        const client = net.connect({ path: socket });
        for (const byte of LIST) await new Promise((resolve) => client.write(Buffer.from([byte]), resolve));
        const [answer] = (await Promise.all([new Promise<Buffer>((resolve) => client.once("data", resolve))])) as [
          Buffer,
        ];
        client.destroy();
        expect(answer[4]).toBe(12);
      });
    });
    it("is hung up on when the agent is gone", async () => {
      const silent = net.createServer((client) => client.on("error", () => {}).end());
      await new Promise<void>((resolve) => silent.listen(at("silent.sock"), resolve));
      await serving([at("silent.sock")], async ({ path: socket }) => {
        expect(await talk(socket, LIST, never)).toHaveLength(0);
      });
      silent.close();
    });
  });

  it("hangs up on its clients and leaves nothing when it is disposed of", async () => {
    const directory = temporary();
    const socket = await served([at("ed25519")], directory);
    const client = net.connect({ path: socket.path });
    await new Promise((resolve) => client.once("connect", resolve));
    const closed = new Promise((resolve) => client.on("error", () => {}).once("close", resolve));
    await socket[Symbol.asyncDispose]();
    await closed;
    expect(fs.existsSync(directory)).toBe(false);
  });

  it("serves at a path that is too long for a socket", async () => {
    const deep = path.join(dir, ...Array.from({ length: 6 }, () => "a-directory-with-quite-a-long-name"));
    fs.mkdirSync(deep, { recursive: true });
    await using socket = await served([at("ed25519")], path.join(deep, "ssh"));
    expect(fs.statSync(socket.path).isSocket()).toBe(true);
  });

  describe("what cannot be lent", () => {
    const refused = async (...paths: readonly string[]) => {
      try {
        await opened(...paths);
      } catch (error) {
        const { code, message, hint } = error as { code: string; message: string; hint?: string };
        return { code, message, hint };
      }
      throw new Error("it was not refused");
    };
    it("is told with what to do for a key with a passphrase", async () => {
      for (const name of ["locked", "locked-pem"]) {
        const { code, message, hint } = await refused(at(name));
        expect(code).toBe("unsupported");
        expect(message).toContain(`the SSH key ${at(name)} is encrypted with a passphrase`);
        expect(hint).toContain("ssh-add");
      }
    });
    it("is told for files that are missing or no key", async () => {
      expect((await refused(at("nothing"))).message).toBe(
        `SSH agent "default": stat ${at("nothing")}: no such file or directory`,
      );
      expect((await refused(at("message"))).message).toContain(`failed to parse ${at("message")}`);
      expect((await refused(at("ed25519.pub"))).code).toBe("invalid");
    });
    it("is told for a mixture of sockets and keys", async () => {
      expect((await refused(real.socket, at("rsa"))).message).toContain("invalid combination of keys and sockets");
      expect((await refused(real.socket, real.socket)).message).toContain("only single socket allowed");
    });
    it("never holds a part of the key's text", async () => {
      fs.writeFileSync(at("broken"), fs.readFileSync(at("ed25519"), "utf8").replace("AAAA", "AABA"));
      fs.writeFileSync(at("broken-pem"), "-----BEGIN RSA PRIVATE KEY-----\nQ0FOQVJZ\n-----END RSA PRIVATE KEY-----\n");
      const [first, second] = [await refused(at("broken")), await refused(at("broken-pem"))];
      expect(JSON.stringify([first, second])).not.toMatch(/CANARY|Q0FOQVJZ|b3BlbnNza/);
    });
  });
});

import { describe, expect, it } from "vitest";
import { hostsFile } from "../../src/executor/etc-files.js";
import { machineResolvers, nameServers, stepResolvConf } from "../../src/executor/resolv-conf.js";

const nothing = () => undefined;
const of = (machine: string, upstream: () => string | undefined = nothing, forwarder?: string) =>
  stepResolvConf({ machine, upstream, forwarder });

describe("the resolv.conf of a step with a network of its own", () => {
  it("is the machine's, byte for byte, where its servers are elsewhere", () => {
    const text = "# by hand\nsearch example.org\nnameserver 192.0.2.53\nnameserver\t198.51.100.53\noptions ndots:2\n";
    expect(of(text)).toEqual({ text });
  });
  it("leaves servers out that only the machine reaches", () => {
    const text = "nameserver 127.0.0.1\nnameserver ::1\nnameserver 192.0.2.53\nnameserver fd00::53\noptions edns0\n";
    expect(of(text)).toEqual({ text: "nameserver 192.0.2.53\noptions edns0\n" });
  });
  it("names the servers behind systemd's stub, but only where that stands alone", () => {
    const upstream = () => "nameserver 192.0.2.1\nsearch lan\n";
    expect(of("nameserver 127.0.0.53\noptions trust-ad\n", upstream)).toEqual({ text: upstream() });
    expect(of("nameserver 127.0.0.53\nnameserver 192.0.2.2\n", upstream)).toEqual({ text: "nameserver 192.0.2.2\n" });
    expect(of("nameserver 127.0.0.1\n", upstream).warning).toContain("names only 127.0.0.1");
  });
  it("names the forwarder where nothing else is left", () => {
    expect(of("search lan\nnameserver 127.0.0.11\n", nothing, "10.187.0.3")).toEqual({
      text: "search lan\nnameserver 10.187.0.3\n",
    });
    expect(of("", nothing, "10.187.0.3")).toEqual({ text: "nameserver 10.187.0.3\n" });
  });
  it("says what can't be done without one", () => {
    expect(of("nameserver 127.0.0.1\nnameserver ::1").warning).toMatch(/names only 127\.0\.0\.1, ::1,.*--network=host/);
    expect(of("")).toEqual({ text: "", warning: expect.stringContaining("names no server") });
  });
});

it("a machine's servers are asked for steps only where they reach none of them", () => {
  const upstream = () => "nameserver 192.0.2.1\n";
  expect(machineResolvers("nameserver 127.0.0.1\nnameserver ::1\nnameserver fd00::1\n", nothing)).toEqual([
    "127.0.0.1",
    "::1",
    "fd00::1",
  ]);
  expect(machineResolvers("nameserver 127.0.0.1\nnameserver nonsense\n".repeat(9), nothing)).toHaveLength(3);
  expect(machineResolvers("nameserver 127.0.0.1\nnameserver 192.0.2.1\n", nothing)).toEqual([]);
  expect(machineResolvers("nameserver 127.0.0.53\n", upstream)).toEqual([]);
  expect(machineResolvers("search lan\n", nothing)).toEqual([]);
});

it("servers are the lines of that keyword", () => {
  expect(nameServers(" nameserver 1.2.3.4 # x\n#nameserver 5.6.7.8\nnameservers 9.9.9.9\n")).toEqual(["1.2.3.4"]);
});

it("the hosts file names the machine where host-gateway stands", () => {
  const extraHosts = [
    { host: "me", ip: "host-gateway" },
    { host: "printer", ip: "10.1.2.3" },
  ];
  expect(hostsFile({ hostname: "h", extraHosts }, "10.187.0.1").split("\n").slice(2)).toEqual([
    "10.187.0.1\tme",
    "10.1.2.3\tprinter",
    "",
  ]);
});

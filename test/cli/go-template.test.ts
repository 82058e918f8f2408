import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileTemplate, TemplateError } from "../../src/cli/go-template/index.js";

const DATA = {
  Id: "sha256:abc",
  Size: 1234,
  Tags: ["a:1", "b:2"],
  Labels: new Map([
    ["b", "2"],
    ["a", "1"],
  ]),
  Config: { Env: ["A=b", "C=d"], User: "", Cmd: null },
};
const shown = (template: string, data: unknown = DATA) => compileTemplate(template).render(data);

describe("a template", () => {
  it.each([
    ["{{.Id}}", "sha256:abc"],
    ["size: {{ .Size }}!", "size: 1234!"],
    ["{{.Config.Env}}", "[A=b C=d]"],
    ["{{.Labels}}", "map[a:1 b:2]"],
    ["{{.Labels.a}} {{.Labels.z}}", "1 <no value>"],
    ['{{index .Labels "b"}}{{index .Labels "z"}}', "2"],
    ["{{index .Tags 1}}", "b:2"],
    [
      "{{json .Tags}} {{json .Labels}} {{json .Config}}",
      '["a:1","b:2"] {"a":"1","b":"2"} {"Env":["A=b","C=d"],"User":"","Cmd":null}',
    ],
    ['{{join .Tags ", "}}', "a:1, b:2"],
    ["{{range .Tags}}<{{.}}>{{end}}", "<a:1><b:2>"],
    ["{{range $i, $t := .Tags}}{{$i}}={{$t}};{{end}}", "0=a:1;1=b:2;"],
    ["{{range $k, $v := .Labels}}{{$k}}{{$v}} {{$.Size}} {{end}}", "a1 1234 b2 1234 "],
    ["{{range .Config.Cmd}}x{{else}}none{{end}}", "none"],
    ["{{if .Config.User}}user{{else if gt .Size 1000}}big{{else}}small{{end}}", "big"],
    ["{{with .Config}}{{.Env | len}}{{end}}", "2"],
    ["{{with $c := .Config.User}}x{{else}}{{.Id}}{{end}}", "sha256:abc"],
    ["{{$x := .Size}}{{if true}}{{$x = 3}}{{end}}{{$x}}", "3"],
    ['{{.Id | upper | printf "%-12s|"}}', "SHA256:ABC  |"],
    ['{{printf "%q %d %v %%" .Id .Size .Tags}}', '"sha256:abc" 1234 [a:1 b:2] %'],
    ['{{(index .Tags 0) | split ":" | len}}', "1"],
    ['{{len (split (index .Tags 0) ":")}}', "2"],
    ["a {{- .Size -}} b", "a1234b"],
    ["a{{/* nothing */}}b", "ab"],
    ["{{println .Size}}", "1234\n"],
    ['{{pad "x" 1 2}}|{{truncate .Id 6}}', " x  |sha256"],
    ["{{and .Size .Id}} {{or .Config.User .Id}} {{not .Size}}", "sha256:abc sha256:abc false"],
    ['{{eq .Id "x" "sha256:abc"}} {{ne .Size 1}}', "true true"],
    ['{{`raw "text"`}}', 'raw "text"'],
  ])("%j shows %j", (template, text) => expect(shown(template)).toBe(text));

  it.each([
    ["{{.Nothing}}", 'there is no field "Nothing"'],
    ["{{.Config.Cmd.Deep}}", "nil pointer evaluating .Config.Cmd.Deep"],
    ["{{nothing .Id}}", 'function "nothing" not defined'],
    ["{{constructor .Id}}", 'function "constructor" not defined'],
    ["{{.Id", "unclosed action"],
    ["{{if .Id}}x", "{{if}} has no {{end}}"],
    ["{{end}}", "unexpected {{end}}"],
    ["{{.Id | }}", "missing value for command"],
    ["{{(.Id}}", "a bracket is missing"],
    ["{{$x}}", 'undefined variable "$x"'],
    ["{{index .Tags 7}}", "index out of range"],
    ["{{.constructor}}", 'there is no field "constructor"'],
    ['{{.Id "x"}}', "can't give arguments"],
  ])("%j is refused: %s", (template, sentence) => {
    expect(() => shown(template)).toThrow(TemplateError);
    expect(() => shown(template)).toThrow(sentence);
  });

  it("shows the fields of what is in brackets", () => {
    expect(shown("{{(index .List 0).Name}}", { List: [{ Name: "x" }] })).toBe("x");
  });

  it("throws nothing but its own errors, whatever the text", () => {
    const piece = fc.constantFrom(
      "{{",
      "}}",
      ".",
      "Id",
      "range ",
      "if ",
      "end",
      "else ",
      "|",
      "(",
      ")",
      "$x",
      ":=",
      '"',
      " ",
      "json ",
      "-",
      "1",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 24 }), (pieces) => {
        try {
          expect(typeof shown(pieces.join(""))).toBe("string");
        } catch (error) {
          expect(error).toBeInstanceOf(TemplateError);
        }
      }),
    );
  });
});

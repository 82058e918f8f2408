import { expect, test } from "vitest";
import { mayBeSecret, redactCredentials } from "../../src/base/index.js";

test.each([
  ["https://me:secret@host/x", "https://xxxxx@host/x"],
  ["ssh://git@host/x", "ssh://git@host/x"],
  ["ADD https://host/a?v=1&token=abc&x=2#top /", "ADD https://host/a?v=1&token=xxxxx&x=2#top /"],
  ["https://blob.example.com/f?sv=2024&sig=a%2Fb", "https://blob.example.com/f?sv=2024&sig=xxxxx"],
  [
    "curl 'https://s3/x?X-Amz-Credential=AK&X-Amz-Signature=ff' -o y",
    "curl 'https://s3/x?X-Amz-Credential=xxxxx&X-Amz-Signature=xxxxx' -o y",
  ],
  ["https://host/?page=2&tokens=3", "https://host/?page=2&tokens=3"],
  ["echo what?token=1", "echo what?token=1"],
])("%s is shown as %s", (text, shown) => {
  expect(redactCredentials(text)).toBe(shown);
});

test("names of variables say whether they may hold secrets", () => {
  for (const name of ["TOKEN", "NPM_TOKEN", "db_password", "API_KEY", "DBPASSWORD"])
    expect(mayBeSecret(name)).toBe(true);
  for (const name of ["TOKENS", "PUBLIC_KEY", "KEYBOARD", "VERSION", "TOKEN_FILE"])
    expect(mayBeSecret(name)).toBe(false);
});

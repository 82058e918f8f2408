import { expect, test } from "vitest";
import { mayBeSecret, mayHoldSecret, redactCredentials, secretValues } from "../../src/base/index.js";

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

test("a value that another variable's secret is part of may hold it, but no word as short as those that values have by themselves", () => {
  const secrets = secretValues([
    ["NPM_TOKEN", "s3cret"],
    ["USE_TOKEN", "true"],
    ["VERSION", "1.2.3.4"],
  ]);
  expect(secrets).toEqual(["s3cret"]);
  expect(mayHoldSecret("X", "v-s3cret", secrets)).toBe(true);
  expect(mayHoldSecret("X", "true 1.2.3.4", secrets)).toBe(false);
  expect(mayHoldSecret("API_KEY", "true", secrets)).toBe(true);
});

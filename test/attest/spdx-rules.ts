/** What is wrong with DOCUMENT by the rules of SPDX 2.3 (its JSON schema, and the clauses that it can't express). */
export function spdxProblems(document: ReturnType<typeof JSON.parse>): readonly string[] {
  const problems: string[] = [];
  const check = (holds: unknown, problem: string): void => {
    if (!holds) problems.push(problem);
  };
  check(document.spdxVersion === "SPDX-2.3", "6.1 version");
  check(document.dataLicense === "CC0-1.0", "6.2 data license");
  check(document.SPDXID === "SPDXRef-DOCUMENT", "6.3 id");
  check(typeof document.name === "string", "6.4 name");
  check(URL.canParse(document.documentNamespace) && !document.documentNamespace.includes("#"), "6.5 namespace");
  check(
    document.creationInfo.creators.every((each: string) => /^(?:Tool|Person|Organization): ./.test(each)),
    "6.8 creator",
  );
  check(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(document.creationInfo.created), "6.9 created");
  problems.push(...unknownMembers(document, DOCUMENT_MEMBERS, "document"));
  for (const each of document.packages) {
    const { SPDXID: id } = each;
    check(typeof each.name === "string", `7.1 name of ${id}`);
    check(each.downloadLocation === "NOASSERTION", `7.7 download location of ${id}`);
    check(each.filesAnalyzed === false && each.packageVerificationCode === undefined, `7.9 verification code of ${id}`);
    for (const license of [each.licenseConcluded, each.licenseDeclared])
      check(
        license === undefined || license === "NOASSERTION" || LICENSE.test(license),
        `7.15 license of ${id}: ${license}`,
      );
    for (const { referenceCategory, referenceType, referenceLocator } of each.externalRefs ?? []) {
      check(referenceCategory === "PACKAGE-MANAGER" && referenceType === "purl", `7.21 category of ${id}`);
      check(/^pkg:[a-z]+\/\S+$/.test(referenceLocator), `7.21 locator of ${id}: ${referenceLocator}`);
    }
    problems.push(...unknownMembers(each, PACKAGE_MEMBERS, id));
  }
  for (const each of document.files) {
    const { SPDXID: id } = each;
    check(typeof each.fileName === "string" && each.fileName !== "", `8.1 name of ${id}`);
    const lengths: Record<string, number> = { SHA1: 40, SHA256: 64 };
    const algorithms = each.checksums.map(({ algorithm }: { algorithm: string }) => algorithm);
    check(algorithms.includes("SHA1"), `8.4 SHA1 of ${id}`);
    for (const { algorithm, checksumValue } of each.checksums)
      check(new RegExp(`^[0-9a-f]{${lengths[algorithm]}}$`).test(checksumValue), `8.4 checksum of ${id}`);
    problems.push(...unknownMembers(each, FILE_MEMBERS, id));
  }
  const ids = [document, ...document.packages, ...document.files].map(({ SPDXID }) => SPDXID);
  check(
    ids.every((id) => /^SPDXRef-[A-Za-z0-9.-]+$/.test(id)),
    "3.2 form of ids",
  );
  check(new Set(ids).size === ids.length, `3.2 one id, one thing: ${ids.filter((id, i) => ids.indexOf(id) !== i)}`);
  for (const { spdxElementId, relatedSpdxElement, relationshipType, comment } of document.relationships) {
    check(ids.includes(spdxElementId) && ids.includes(relatedSpdxElement), `11.1 ends of ${spdxElementId}`);
    check(["DESCRIBES", "CONTAINS", "OTHER"].includes(relationshipType), `11.1 ${relationshipType}`);
    check(relationshipType !== "OTHER" || comment, "11.2 comment of OTHER");
  }
  const described = document.relationships.filter(
    ({ relationshipType: type }: { relationshipType: string }) => type === "DESCRIBES",
  );
  check(described.length === 1, "11.1 what is described");
  return problems;
}

const DOCUMENT_MEMBERS = [
  ..."spdxVersion dataLicense SPDXID name documentNamespace creationInfo comment packages files relationships".split(
    " ",
  ),
];
const PACKAGE_MEMBERS = [
  ..."SPDXID name versionInfo downloadLocation filesAnalyzed sourceInfo licenseConcluded licenseDeclared".split(" "),
  ..."copyrightText externalRefs primaryPackagePurpose".split(" "),
];
const FILE_MEMBERS = "SPDXID fileName checksums licenseConcluded copyrightText comment".split(" ");
const LICENSE = /^[A-Za-z0-9.-]+(?: (?:AND|OR) [A-Za-z0-9.-]+)*$/;

function unknownMembers(value: object, known: readonly string[], what: string): readonly string[] {
  return Object.keys(value)
    .filter((key) => !known.includes(key))
    .map((key) => `${what} has an unknown member ${key}`);
}

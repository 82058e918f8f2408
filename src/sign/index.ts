export { prepareSigning } from "./bundle.js";
export { imagesToSign, type SignOutcome, signImage } from "./sign-image.js";
export { KEY_BYTES_MAX, readSigningKey, type SigningKey } from "./signing-key.js";

// SPDX-License-Identifier: Apache-2.0
// Asks the browser for a passkey, and hands its answer in as a form. Without this script the forms stay hidden, and
// signing with an SSH key works as it does.
"use strict";

(() => {
  const bytes = (text) => {
    const standard = text.replace(/-/g, "+").replace(/_/g, "/");
    return Uint8Array.from(atob(standard), (letter) => letter.charCodeAt(0));
  };

  const text = (buffer) => {
    const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
    return btoa(letters).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };

  const credentials = (form) =>
    form.dataset.credentials
      .split(" ")
      .filter(Boolean)
      .map((id) => ({ type: "public-key", id: bytes(id) }));

  const create = async (form) => {
    const made = await navigator.credentials.create({
      publicKey: {
        challenge: bytes(form.dataset.challenge),
        rp: { id: form.dataset.rpId, name: "Countersign" },
        user: { id: bytes(form.dataset.user), name: form.dataset.name, displayName: form.dataset.name },
        pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: "public-key", alg })),
        excludeCredentials: credentials(form),
        authenticatorSelection: { userVerification: "required" },
        attestation: "direct",
      },
    });
    return {
      credential_id: made.id,
      client_data: text(made.response.clientDataJSON),
      attestation_object: text(made.response.attestationObject),
    };
  };

  const get = async (form) => {
    const given = await navigator.credentials.get({
      publicKey: {
        challenge: bytes(form.dataset.challenge),
        rpId: form.dataset.rpId,
        allowCredentials: credentials(form),
        userVerification: "required",
      },
    });
    return {
      credential_id: given.id,
      authenticator_data: text(given.response.authenticatorData),
      client_data: text(given.response.clientDataJSON),
      signature: text(given.response.signature),
    };
  };

  const submit = async (event) => {
    const form = event.currentTarget;
    const status = form.querySelector("[role=status]");
    const button = form.querySelector("button");
    event.preventDefault();
    button.disabled = true;
    status.textContent = "Waiting for your passkey.";
    try {
      const answer = await (form.dataset.passkey === "create" ? create(form) : get(form));
      for (const [name, value] of Object.entries(answer)) {
        form.elements.namedItem(name).value = value;
      }
      form.submit();
    } catch (error) {
      status.textContent = `Nothing was signed or added. The browser says: ${error.message}`;
      button.disabled = false;
    }
  };

  if (window.PublicKeyCredential) {
    for (const form of document.querySelectorAll("form[data-passkey]")) {
      form.addEventListener("submit", submit);
      form.hidden = false;
    }
  }
})();

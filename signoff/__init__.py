# SPDX-License-Identifier: Apache-2.0
"""Who vouches for it: policy, statement, envelope, keys, log, bundle, gate.

How a sign-off comes about: `build_facts` from the review; `build_statement`, whose evidence holds the facts' digest
(`evidence_digests` and ``facts``) and whose coverage is `coverage` of the facts; the reviewer signs `pae` of its
canonical JSON; `envelope_from_ssh` or `Envelope.read`, then `verify_envelope` against the roots' keys; `Log.append` of
its `signoff_leaf`, `Log.proof`; `build_bundle`; and on the other side `gate`.
"""

from typing import TYPE_CHECKING

from evidence.facades import on_demand

if TYPE_CHECKING:
    from signoff._strict import format_time, parse_time
    from signoff.allowed_signers import allowed_signers
    from signoff.bundle import BUNDLE_SCHEMA, Bundle, Signoff, build_bundle, read_bundle, signoff_leaf
    from signoff.envelope import (
        PAYLOAD_TYPE,
        Envelope,
        SignatureKind,
        envelope_from_passkey,
        envelope_from_raw,
        envelope_from_ssh,
        pae,
        sign_envelope,
        verify_envelope,
    )
    from signoff.facts import (
        Answer,
        Evidence,
        FactsDocument,
        Files,
        FindingEntry,
        build_facts,
        coverage,
        evidence_digests,
        policy_facts,
        read_facts,
    )
    from signoff.gate import GateResult, gate, verify
    from signoff.independence import Declaration
    from signoff.keys import PasskeyScope, PublicKey
    from signoff.leaves import entry_bytes, leaf
    from signoff.log import Log
    from signoff.logkey import LogKey
    from signoff.merkle import leaf_hash, verify_consistency, verify_inclusion
    from signoff.notes import Checkpoint, NoteKey, open_checkpoint
    from signoff.passkeys import Assertion, challenge, verify_assertion
    from signoff.policy import DEFAULT_POLICY, Policy, parse_policy, read_policy
    from signoff.proofs import LogProof
    from signoff.reader import LogReader
    from signoff.requirements import (
        ChangePerson,
        EvidenceFact,
        Facts,
        FindingFact,
        Voter,
        admits,
        declared,
        evaluate,
    )
    from signoff.rootchain import ROOTS_TYPE, RootsUpdate, accept_update
    from signoff.roots import READ_ONLY, ROOTS_SCHEMA, Person, PersonKey, Roots, parse_roots, read_roots
    from signoff.signers import sign_with_signer
    from signoff.sshsig import NAMESPACE, armor, dearmor, sign_with_ssh_key
    from signoff.statement import (
        DECLARATION_DIGEST,
        FACTS_NAME,
        INDEPENDENCE_DECLARATION,
        Coverage,
        Decision,
        Hurry,
        Override,
        PolicyReference,
        Reviewer,
        Statement,
        Validity,
        Vote,
        Waiver,
        build_statement,
        read_statement,
    )
    from signoff.states import Requirement, State
    from signoff.tiles import CHECKPOINT, tile_path
    from signoff.verification import STEPS, Signed, Step

__all__ = [
    "BUNDLE_SCHEMA",
    "CHECKPOINT",
    "DECLARATION_DIGEST",
    "DEFAULT_POLICY",
    "FACTS_NAME",
    "INDEPENDENCE_DECLARATION",
    "NAMESPACE",
    "PAYLOAD_TYPE",
    "READ_ONLY",
    "ROOTS_SCHEMA",
    "ROOTS_TYPE",
    "STEPS",
    "Answer",
    "Assertion",
    "Bundle",
    "ChangePerson",
    "Checkpoint",
    "Coverage",
    "Decision",
    "Declaration",
    "Envelope",
    "Evidence",
    "EvidenceFact",
    "Facts",
    "FactsDocument",
    "Files",
    "FindingEntry",
    "FindingFact",
    "GateResult",
    "Hurry",
    "Log",
    "LogKey",
    "LogProof",
    "LogReader",
    "NoteKey",
    "Override",
    "PasskeyScope",
    "Person",
    "PersonKey",
    "Policy",
    "PolicyReference",
    "PublicKey",
    "Requirement",
    "Reviewer",
    "Roots",
    "RootsUpdate",
    "SignatureKind",
    "Signed",
    "Signoff",
    "State",
    "Statement",
    "Step",
    "Validity",
    "Vote",
    "Voter",
    "Waiver",
    "accept_update",
    "admits",
    "allowed_signers",
    "armor",
    "build_bundle",
    "build_facts",
    "build_statement",
    "challenge",
    "coverage",
    "dearmor",
    "declared",
    "entry_bytes",
    "envelope_from_passkey",
    "envelope_from_raw",
    "envelope_from_ssh",
    "evaluate",
    "evidence_digests",
    "format_time",
    "gate",
    "leaf",
    "leaf_hash",
    "open_checkpoint",
    "pae",
    "parse_policy",
    "parse_roots",
    "parse_time",
    "policy_facts",
    "read_bundle",
    "read_facts",
    "read_policy",
    "read_roots",
    "read_statement",
    "sign_envelope",
    "sign_with_signer",
    "sign_with_ssh_key",
    "signoff_leaf",
    "tile_path",
    "verify",
    "verify_assertion",
    "verify_consistency",
    "verify_envelope",
    "verify_inclusion",
]

on_demand(__name__)

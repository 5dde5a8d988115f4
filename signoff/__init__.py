# SPDX-License-Identifier: Apache-2.0
"""Who vouches for it: policy, statement, envelope, keys, log, bundle, gate.

How a sign-off comes about: `build_facts` from the review; `build_statement`, whose evidence holds the facts' digest
(`evidence_digests` and ``facts``) and whose coverage is `coverage` of the facts; the reviewer signs `pae` of its
canonical JSON; `envelope_from_ssh` or `Envelope.read`, then `verify_envelope` against the roots' keys; `Log.append` of
its `signoff_leaf`, `Log.proof`; `assemble_bundle` with the newest revocation list; and on the other side `gate`.
"""

from typing import TYPE_CHECKING

from evidence.facades import on_demand

if TYPE_CHECKING:
    from signoff._strict import format_time, parse_time
    from signoff.allowed_signers import allowed_signers
    from signoff.assembly import assemble_bundle
    from signoff.breakglass import (
        BREAK_GLASS_ROLE,
        BREAK_GLASS_SCHEMA,
        BreakGlass,
        EmergencyTimes,
        build_break_glass,
        build_emergency,
        read_bundle_revision,
        read_emergency,
    )
    from signoff.bundle import (
        BUNDLE_SCHEMA,
        Bundle,
        CarriedOver,
        Logged,
        RevocationList,
        Signoff,
        build_bundle,
        read_bundle,
        signoff_leaf,
    )
    from signoff.carrying import (
        CARRY_LEAF,
        Carried,
        Carry,
        build_carry,
        carry_leaf,
        check_same_facts,
        read_carry,
        same_content,
    )
    from signoff.commitments import derive_salt, evidence_leaf, panel_commitment, panel_leaf
    from signoff.cosignatures import (
        ED25519_COSIGNATURE,
        ML_DSA_44_COSIGNATURE,
        Cosigner,
        CosignerKey,
        open_cosignatures,
    )
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
    from signoff.gate import Emergencies, GateResult, gate, verify
    from signoff.independence import Declaration
    from signoff.keys import PasskeyScope, PublicKey
    from signoff.leaves import entry_bytes, key_leaf, key_sha256, leaf
    from signoff.log import Log
    from signoff.logkey import LogKey
    from signoff.machinekeys import MachineKey
    from signoff.merkle import leaf_hash, verify_consistency, verify_inclusion
    from signoff.notes import Checkpoint, NoteKey, open_checkpoint
    from signoff.passkeys import Assertion, challenge, verify_assertion
    from signoff.policy import DEFAULT_POLICY, Policy, parse_policy, read_policy
    from signoff.proofs import LogProof
    from signoff.quorum import Quorum, Witnessed, parse_quorum
    from signoff.reader import LogReader
    from signoff.requirements import ChangePerson, EvidenceFact, Facts, FindingFact, Voter, admits, declared, evaluate
    from signoff.revocations import (
        Revocations,
        Revoked,
        RevokedKind,
        build_revocations,
        read_revocations,
        revocations_leaf,
    )
    from signoff.rootchain import ROOTS_TYPE, RootsUpdate, accept_update
    from signoff.roots import READ_ONLY, ROOTS_SCHEMA, Gate, Person, PersonKey, Roots, parse_roots, read_roots
    from signoff.signers import sign_with_signer
    from signoff.sshsig import NAMESPACE, armor, dearmor, sign_with_ssh_key
    from signoff.statement import (
        DECLARATION_DIGEST,
        FACTS_NAME,
        INDEPENDENCE_DECLARATION,
        Coverage,
        Decision,
        EvidenceReference,
        Hurry,
        Override,
        PolicyReference,
        Predicate,
        Reviewer,
        Statement,
        Validity,
        Vote,
        WaivedFinding,
        Waiver,
        build_statement,
        read_statement,
    )
    from signoff.states import Requirement, State
    from signoff.summary import GATE_LEAF, Summary, build_summary, gate_leaf, read_summary, verify_summary
    from signoff.tiles import CHECKPOINT, tile_path
    from signoff.verification import STEPS, Signed, Step
    from signoff.witness import REQUEST_LIMIT, Witness, WitnessAnswer, ask, build_request, parse_request

__all__ = [
    "BREAK_GLASS_ROLE",
    "BREAK_GLASS_SCHEMA",
    "BUNDLE_SCHEMA",
    "CARRY_LEAF",
    "CHECKPOINT",
    "DECLARATION_DIGEST",
    "DEFAULT_POLICY",
    "ED25519_COSIGNATURE",
    "FACTS_NAME",
    "GATE_LEAF",
    "INDEPENDENCE_DECLARATION",
    "ML_DSA_44_COSIGNATURE",
    "NAMESPACE",
    "PAYLOAD_TYPE",
    "READ_ONLY",
    "REQUEST_LIMIT",
    "ROOTS_SCHEMA",
    "ROOTS_TYPE",
    "STEPS",
    "Answer",
    "Assertion",
    "BreakGlass",
    "Bundle",
    "Carried",
    "CarriedOver",
    "Carry",
    "ChangePerson",
    "Checkpoint",
    "Cosigner",
    "CosignerKey",
    "Coverage",
    "Decision",
    "Declaration",
    "Emergencies",
    "EmergencyTimes",
    "Envelope",
    "Evidence",
    "EvidenceFact",
    "EvidenceReference",
    "Facts",
    "FactsDocument",
    "Files",
    "FindingEntry",
    "FindingFact",
    "Gate",
    "GateResult",
    "Hurry",
    "Log",
    "LogKey",
    "LogProof",
    "LogReader",
    "Logged",
    "MachineKey",
    "NoteKey",
    "Override",
    "PasskeyScope",
    "Person",
    "PersonKey",
    "Policy",
    "PolicyReference",
    "Predicate",
    "PublicKey",
    "Quorum",
    "Requirement",
    "Reviewer",
    "RevocationList",
    "Revocations",
    "Revoked",
    "RevokedKind",
    "Roots",
    "RootsUpdate",
    "SignatureKind",
    "Signed",
    "Signoff",
    "State",
    "Statement",
    "Step",
    "Summary",
    "Validity",
    "Vote",
    "Voter",
    "WaivedFinding",
    "Waiver",
    "Witness",
    "WitnessAnswer",
    "Witnessed",
    "accept_update",
    "admits",
    "allowed_signers",
    "armor",
    "ask",
    "assemble_bundle",
    "build_break_glass",
    "build_bundle",
    "build_carry",
    "build_emergency",
    "build_facts",
    "build_request",
    "build_revocations",
    "build_statement",
    "build_summary",
    "carry_leaf",
    "challenge",
    "check_same_facts",
    "coverage",
    "dearmor",
    "declared",
    "derive_salt",
    "entry_bytes",
    "envelope_from_passkey",
    "envelope_from_raw",
    "envelope_from_ssh",
    "evaluate",
    "evidence_digests",
    "evidence_leaf",
    "format_time",
    "gate",
    "gate_leaf",
    "key_leaf",
    "key_sha256",
    "leaf",
    "leaf_hash",
    "open_checkpoint",
    "open_cosignatures",
    "pae",
    "panel_commitment",
    "panel_leaf",
    "parse_policy",
    "parse_quorum",
    "parse_request",
    "parse_roots",
    "parse_time",
    "policy_facts",
    "read_bundle",
    "read_bundle_revision",
    "read_carry",
    "read_emergency",
    "read_facts",
    "read_policy",
    "read_revocations",
    "read_roots",
    "read_statement",
    "read_summary",
    "revocations_leaf",
    "same_content",
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
    "verify_summary",
]

on_demand(__name__)

// SPDX-License-Identifier: Apache-2.0

// What Go's own packages for notes and logs (golang.org/x/mod/sumdb/note and tlog) say of a log of ours.
//
//	log open VKEY <NOTE                     the text of a note that the key signed
//	log sign SKEY <TEXT                     the note that the key makes of a text
//	log key NAME                            a new key: the private one, then the public one
//	log prove FOLDER SIZE ROOT INDEX...     from the tiles alone: a proof of each entry, one line each
//	log lead FOLDER SIZE ROOT OLD           from the tiles alone: a proof that the log of OLD entries is its beginning
//	log check SIZE ROOT INDEX HASH PROOF... whether a proof of an entry holds
//	log leads SIZE ROOT OLD ROOT PROOF...   whether a proof of consistency holds
//
// Hashes are in base64. What does not hold ends with status 1 and a line that says why.
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Go's paths begin with the tiles' height, C2SP's do not.
const height = 8

type folder string

func (f folder) Height() int { return height }

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		path := "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
		var err error
		if data[i], err = os.ReadFile(filepath.Join(string(f), path)); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	fail(err)
	return n
}

func hash(text string) tlog.Hash {
	h, err := tlog.ParseHash(text)
	fail(err)
	return h
}

func hashes(texts []string) []tlog.Hash {
	found := make([]tlog.Hash, len(texts))
	for i, text := range texts {
		found[i] = hash(text)
	}
	return found
}

func show(proof []tlog.Hash) {
	texts := make([]string, len(proof))
	for i, h := range proof {
		texts[i] = h.String()
	}
	fmt.Println(strings.Join(texts, " "))
}

func input() []byte {
	text, err := io.ReadAll(os.Stdin)
	fail(err)
	return text
}

func tree(args []string) (int64, tlog.HashReader) {
	size := number(args[1])
	return size, tlog.TileHashReader(tlog.Tree{N: size, Hash: hash(args[2])}, folder(args[0]))
}

func main() {
	args := os.Args[2:]
	switch os.Args[1] {
	case "open":
		verifier, err := note.NewVerifier(args[0])
		fail(err)
		opened, err := note.Open(input(), note.VerifierList(verifier))
		fail(err)
		fmt.Print(opened.Text)
	case "sign":
		signer, err := note.NewSigner(args[0])
		fail(err)
		signed, err := note.Sign(&note.Note{Text: string(input())}, signer)
		fail(err)
		os.Stdout.Write(signed)
	case "key":
		private, public, err := note.GenerateKey(rand.Reader, args[0])
		fail(err)
		fmt.Println(private)
		fmt.Println(public)
	case "prove":
		size, reader := tree(args)
		for _, index := range args[3:] {
			proof, err := tlog.ProveRecord(size, number(index), reader)
			fail(err)
			show(proof)
		}
	case "lead":
		size, reader := tree(args)
		proof, err := tlog.ProveTree(size, number(args[3]), reader)
		fail(err)
		show(proof)
	case "check":
		fail(tlog.CheckRecord(hashes(args[4:]), number(args[0]), hash(args[1]), number(args[2]), hash(args[3])))
	case "leads":
		fail(tlog.CheckTree(hashes(args[4:]), number(args[0]), hash(args[1]), number(args[2]), hash(args[3])))
	default:
		fail(fmt.Errorf("no such command: %s", os.Args[1]))
	}
}

// Holds a log's files against golang.org/x/mod/sumdb, which knows nothing of this project: the note, the tiles, each
// entry's inclusion, the continuation from an earlier checkpoint. Reads one JSON object, writes one.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Input names files by their place under the log's prefix, contents in base64.
type Input struct {
	Vkey   string            `json:"vkey"`
	Newer  string            `json:"newer"`
	Older  string            `json:"older"`
	Files  map[string]string `json:"files"`
	Proofs []Proof           `json:"proofs"`
	// That the older tree is the beginning of the newer, as the log proves it.
	Consistency []string `json:"consistency"`
}

// Proof is one of the log's own.
type Proof struct {
	Index int64    `json:"index"`
	Path  []string `json:"path"`
}

type Result struct {
	Entries  int64    `json:"entries"`
	Proofs   int      `json:"proofs"`
	Problems []string `json:"problems"`
}

type checkpoint struct {
	size int64
	root tlog.Hash
}

// height of a tile of 256 hashes.
const height = 8

func main() {
	var input Input
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	result := Result{Problems: []string{}}
	if err := verify(input, &result); err != nil {
		result.Problems = append(result.Problems, err.Error())
	}
	json.NewEncoder(os.Stdout).Encode(result)
}

func verify(input Input, result *Result) error {
	newer, err := open(input.Vkey, input.Newer)
	if err != nil {
		return fmt.Errorf("newer checkpoint: %w", err)
	}
	older, err := open(input.Vkey, input.Older)
	if err != nil {
		return fmt.Errorf("older checkpoint: %w", err)
	}
	reader := tlog.TileHashReader(tlog.Tree{N: newer.size, Hash: newer.root}, tiles{input.Files})
	if err := checkEntries(input, newer.size, reader, result); err != nil {
		return err
	}
	proof, err := tlog.ProveTree(newer.size, older.size, reader)
	if err != nil {
		return fmt.Errorf("consistency from tiles: %w", err)
	}
	if err := tlog.CheckTree(proof, newer.size, newer.root, older.size, older.root); err != nil {
		return fmt.Errorf("consistency from tiles: %w", err)
	}
	own, err := hashes(input.Consistency)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(own, newer.size, newer.root, older.size, older.root); err != nil {
		return fmt.Errorf("the log's own consistency proof: %w", err)
	}
	return nil
}

// open checks the signature and reads size and root.
func open(vkey, text string) (checkpoint, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return checkpoint{}, err
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return checkpoint{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return checkpoint{}, fmt.Errorf("expected origin, size and root")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return checkpoint{}, err
	}
	root, err := hashes([]string{lines[2]})
	if err != nil {
		return checkpoint{}, err
	}
	return checkpoint{size, root[0]}, nil
}

func hashes(texts []string) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(texts))
	for i, text := range texts {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) != tlog.HashSize {
			return nil, fmt.Errorf("hash %d cannot be read", i)
		}
		copy(out[i][:], raw)
	}
	return out, nil
}

// checkEntries holds every entry of the bundles against the tree, by the tiles and by the log's own proofs.
func checkEntries(input Input, size int64, reader tlog.HashReader, result *Result) error {
	root, err := tlog.TreeHash(size, reader)
	if err != nil {
		return fmt.Errorf("tree from tiles: %w", err)
	}
	leaves := []tlog.Hash{}
	for first := int64(0); first < size; first += 1 << height {
		width := size - first
		if width > 1<<height {
			width = 1 << height
		}
		entries, err := bundle(input.Files, first>>height, int(width))
		if err != nil {
			return err
		}
		for i, entry := range entries {
			index := first + int64(i)
			leaf := tlog.RecordHash(entry)
			proof, err := tlog.ProveRecord(size, index, reader)
			if err != nil {
				return fmt.Errorf("entry %d: %w", index, err)
			}
			if err := tlog.CheckRecord(proof, size, root, index, leaf); err != nil {
				return fmt.Errorf("entry %d: %w", index, err)
			}
			leaves = append(leaves, leaf)
			result.Entries++
		}
	}
	for _, own := range input.Proofs {
		path, err := hashes(own.Path)
		if err != nil {
			return err
		}
		if own.Index >= size {
			return fmt.Errorf("a proof of entry %d of %d", own.Index, size)
		}
		if err := tlog.CheckRecord(path, size, root, own.Index, leaves[own.Index]); err != nil {
			return fmt.Errorf("the log's own proof of entry %d: %w", own.Index, err)
		}
		result.Proofs++
	}
	return nil
}

func bundle(files map[string]string, number int64, width int) ([][]byte, error) {
	path := strings.Replace(tlog.Tile{H: height, L: 0, N: number, W: width}.Path(), "tile/8/0/", "tile/entries/", 1)
	data, err := base64.StdEncoding.DecodeString(files[path])
	if err != nil {
		return nil, err
	}
	entries := [][]byte{}
	for len(data) >= 2 {
		length := int(binary.BigEndian.Uint16(data))
		if 2+length > len(data) {
			break
		}
		entries = append(entries, data[2:2+length])
		data = data[2+length:]
	}
	if len(data) > 0 || len(entries) != width {
		return nil, fmt.Errorf("%s: expected a bundle of %d entries, got %d", path, width, len(entries))
	}
	return entries, nil
}

// tiles reads them as C2SP tlog-tiles names them: like Go's, but without the height.
type tiles struct{ files map[string]string }

func (t tiles) Height() int { return height }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	out := [][]byte{}
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := base64.StdEncoding.DecodeString(t.files[path])
		if err != nil || len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s is not there", path)
		}
		out = append(out, data)
	}
	return out, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package arm64

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"

	"example.org/logsoftmax/_gen/constants"
	"example.org/logsoftmax/_gen/source"
)

// TestEncodings disassembles every instruction that is written as a word, for
// many registers.
func TestEncodings(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, e := range encodings {
		for i := range 100 {
			word, want := e.opcode, e.syntax
			for _, f := range e.fields {
				register := r.Uint32N(31)
				if i == 0 {
					register = 0
				}
				word |= register << f.shift
				want = strings.ReplaceAll(want, "{"+f.name+"}", fmt.Sprint(register))
			}
			testDisassembly(t, word, want)
		}
	}
}

func testDisassembly(t *testing.T, word uint32, want string) {
	t.Helper()
	in, err := arm64asm.Decode(binary.LittleEndian.AppendUint32(nil, word))
	if err != nil {
		t.Errorf("%#08x, written for %s, is no instruction: %v", word, want, err)
		return
	}
	if got := arm64asm.GNUSyntax(in); got != want {
		t.Errorf("%#08x is %s, want %s", word, got, want)
	}
}

// TestMacros evaluates the macros as the file has them.
func TestMacros(t *testing.T) {
	p, err := source.Read("../"+source.Directory, "arm64", nil)
	if err != nil {
		t.Fatal(err)
	}
	text := string(Files(p, constants.Derive())["kernels_arm64.s"])
	n := 0
	for line := range strings.Lines(text) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), "#define ")
		if !ok {
			continue
		}
		n++
		head, rest, _ := strings.Cut(line, ") WORD $(")
		body, want, _ := strings.Cut(rest, ") // ")
		_, names, _ := strings.Cut(head, "(")
		var word uint32
		for i, name := range strings.Split(names, ", ") {
			body = strings.ReplaceAll(body, "("+name+")", fmt.Sprint(7*i+3))
			want = strings.ReplaceAll(want, "{"+name+"}", fmt.Sprint(7*i+3))
		}
		for _, term := range strings.Split(body, " | ") {
			x, shift, _ := strings.Cut(term, "<<")
			v, err := strconv.ParseUint(x, 0, 32)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			by, _ := strconv.Atoi(shift)
			word |= uint32(v) << by
		}
		testDisassembly(t, word, want)
	}
	if n != len(encodings) {
		t.Errorf("%d macros, want %d", n, len(encodings))
	}
}

// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"example.org/logsoftmax"
)

func TestReplaceSection(t *testing.T) {
	const text = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
	got, err := replaceSection(text, "x", "new\n")
	if want := "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\nb\n"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for _, bad := range []string{"", "<!-- x -->", "<!-- /x --> <!-- x -->", text + text} {
		if _, err := replaceSection(bad, "x", "new"); err == nil {
			t.Errorf("no error for the markers in %q", bad)
		}
	}
}

// TestPagesAreCurrent fails when the sections of the README and of docs/ are not
// what the committed results make. To bring them up to date, in the root:
//
//	go -C bench run . -render
//
// They lie outside of this module, where go test's cache does not see them
// change: run this with -count=1.
func TestPagesAreCurrent(t *testing.T) {
	r, err := readResults("results.json")
	if err != nil {
		t.Fatal(err)
	}
	if r.Quick {
		t.Error("results.json is of a quick pass")
	}
	for _, page := range pages {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page.path)))
		if err != nil {
			t.Fatal(err)
		}
		for name, section := range page.sections {
			want, err := replaceSection(string(b), "bench:"+name, section(r))
			if err != nil {
				t.Fatal(err)
			}
			if string(b) != want {
				t.Errorf("section %s of %s and bench/results.json differ: run go -C bench run . -render", name, page.path)
			}
		}
	}
}

// TestReadmeNumbers holds the numbers in the README's first code to what that
// code gives.
func TestReadmeNumbers(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	logits := mat.NewDense(2, 3, []float64{
		2.0, 0.5, -1.0,
		0.1, 0.2, 50.0,
	})
	target := []int{0, 2}
	var logp, grad mat.Dense
	logsoftmax.LogSoftmax(&logp, logits, 1)
	loss, err := logsoftmax.CrossEntropyGrad(&grad, logits, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("loss.Mean() is %.4f, loss.Accuracy() %v.", loss.Mean(), loss.Accuracy()),
		fmt.Sprintf("logp.At(1, 2) is %.4g, grad.At(1, 2) %.4g.", logp.At(1, 2), grad.At(1, 2)),
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("README.md does not say %q", want)
		}
	}
}

// TestPicturesAreCurrent fails when the committed pictures are not what the
// committed results make. Where floating point is fused, a few pixels differ.
func TestPicturesAreCurrent(t *testing.T) {
	r, err := readResults("results.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range drawings {
		path := p.path
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if err != nil {
			t.Error(err)
			continue
		}
		d, err := p.draw(r)
		if err != nil {
			t.Fatal(err)
		}
		got, want := decode(t, b), decode(t, d)
		if got.Bounds() != want.Bounds() {
			t.Errorf("%s: size %v, want %v", path, got.Bounds(), want.Bounds())
			continue
		}
		differ, all := 0, got.Bounds().Dx()*got.Bounds().Dy()
		for y := range got.Bounds().Dy() {
			for x := range got.Bounds().Dx() {
				if got.At(x, y) != want.At(x, y) {
					differ++
				}
			}
		}
		if differ*1000 > all {
			t.Errorf("%s: %d of %d pixels differ: run go -C bench run . -render", path, differ, all)
		}
	}
}

func decode(t *testing.T, b []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestPicturesOfFixture draws results with peers and operations missing.
func TestPicturesOfFixture(t *testing.T) {
	dir := t.TempDir()
	if err := writePictures(dir, fixture()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{speedPicture, accuracyPicture, sweepPicture} {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
		if err != nil {
			t.Fatal(err)
		}
		if w := decode(t, b).Bounds().Dx(); w != 1700 {
			t.Errorf("%s is %d pixels wide, want 1700", p, w)
		}
	}
}

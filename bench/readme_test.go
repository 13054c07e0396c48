// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"
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

// TestReadmeIsCurrent fails when the README's sections are not what the
// committed results make. To bring them up to date, in the root:
//
//	go -C bench run . -render
//
// The README lies outside of this module, where go test's cache does not see it
// change: run this with -count=1.
func TestReadmeIsCurrent(t *testing.T) {
	r, err := readResults("results.json")
	if err != nil {
		t.Fatal(err)
	}
	if r.Quick {
		t.Error("results.json is of a quick pass")
	}
	b, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := withResults(string(b), r)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != want {
		t.Error("README.md and bench/results.json differ: run go -C bench run . -render")
	}
}

// TestPicturesAreCurrent fails when the committed pictures are not what the
// committed results make. Where floating point is fused, a few pixels differ.
func TestPicturesAreCurrent(t *testing.T) {
	r, err := readResults("results.json")
	if err != nil {
		t.Fatal(err)
	}
	for path, draw := range map[string]func(*Results) ([]byte, error){speedPicture: drawSpeed, accuracyPicture: drawAccuracy} {
		b, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(path)))
		if err != nil {
			t.Error(err)
			continue
		}
		d, err := draw(r)
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
	for _, p := range []string{speedPicture, accuracyPicture} {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
		if err != nil {
			t.Fatal(err)
		}
		if w := decode(t, b).Bounds().Dx(); w != 1700 {
			t.Errorf("%s is %d pixels wide, want 1700", p, w)
		}
	}
}

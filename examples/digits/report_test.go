// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMistakes(t *testing.T) {
	truth := []int{1, 1, 1, 1, 2, 2, 3, 3, 3, 9}
	predicted := []int{1, 7, 7, 2, 2, 2, 8, 8, 8, 0}
	got := newConfusion(truth, predicted).mistakes()
	want := []mistake{
		{truth: 3, predicted: 8, count: 3, of: 3},
		{truth: 1, predicted: 7, count: 2, of: 4},
		{truth: 1, predicted: 2, count: 1, of: 4},
		{truth: 9, predicted: 0, count: 1, of: 1},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEvaluateAgreesWithItself(t *testing.T) {
	f, err := training()
	if err != nil {
		t.Fatal(err)
	}
	_, test, err := load()
	if err != nil {
		t.Fatal(err)
	}
	e, err := evaluate(f.model, test)
	if err != nil {
		t.Fatal(err)
	}
	sum, correct := 0.0, 0
	for i, loss := range e.each {
		sum += loss
		if e.predicted[i] == test.labels[i] {
			correct++
		}
	}
	if rows := len(test.labels); e.loss.Rows != rows || e.loss.Weight != float64(rows) {
		t.Errorf("%+v, want %d rows", e.loss, rows)
	}
	if correct != e.loss.Correct {
		t.Errorf("%d predictions are right, the loss counts %d", correct, e.loss.Correct)
	}
	if math.Abs(sum-e.loss.Sum) > 1e-12*sum {
		t.Errorf("losses of the rows add up to %v, not %v", sum, e.loss.Sum)
	}
}

// quiet is a file that is not a terminal. Its test fails if anything is
// written to it.
func quiet(t *testing.T) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer func() { _ = file.Close() }()
		if info, err := file.Stat(); err != nil || info.Size() != 0 {
			t.Errorf("something was written where no terminal is: %v, %v", info, err)
		}
	})
	return file
}

func TestRun(t *testing.T) {
	f, err := training()
	if err != nil {
		t.Fatal(err)
	}
	picture := filepath.Join(t.TempDir(), "picture.png")
	var out bytes.Buffer
	if err := run(&out, quiet(t), lambda, 1000, picture); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"E. Alpaydin and C. Kaynak (1998)",
		"CC BY 4.0",
		"1437 scans to train on, 360 to test on",
		fmt.Sprintf("objective: %.10f", f.objective),
		"perplexity",
		"accuracy",
		" taken for ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}

	file, err := os.Open(picture)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if _, err := png.Decode(file); err != nil {
		t.Error(err)
	}
}

func TestPictureInSVG(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "picture.SVG")
	if err := run(io.Discard, quiet(t), 0.1, 1000, picture); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for decoder := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := token.(xml.CharData); ok {
			text.Write(data)
		}
	}
	for _, want := range []string{"Learning curve", "L-BFGS iteration", "nats per scan", "test loss"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the picture lacks %q", want)
		}
	}
	if got := strings.Count(text.String(), " taken for ") - 1; got != worstColumns*worstRows {
		t.Errorf("%d scans are labelled, want %d", got, worstColumns*worstRows)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, test := range []struct {
		lambda     float64
		iterations int
		picture    string
		want       string
	}{
		{-1, 1000, "", "-lambda -1"},
		{math.NaN(), 1000, "", "-lambda NaN"},
		{math.Inf(1), 1000, "", "-lambda +Inf"},
		{lambda, 0, "", "-iterations 0"},
		{lambda, 1000, "picture", "must end in one of"},
		{lambda, 1000, "picture.txt", "must end in one of"},
		// Found out before a training that would fail too.
		{lambda, 5, filepath.Join(t.TempDir(), "missing", "picture.png"), "-plot: open "},
		{lambda, 5, filepath.Join("data.go", "picture.png"), "-plot: open "},
		{lambda, 5, "", "not below 1e-08"},
	} {
		var out bytes.Buffer
		err := run(&out, quiet(t), test.lambda, test.iterations, test.picture)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v", test, err)
		}
		if out.Len() > 0 {
			t.Errorf("%+v: reported all the same:\n%s", test, &out)
		}
	}
}

// TestRunKeepsPicture: a training that fails leaves no file, and one of before
// as it was.
func TestRunKeepsPicture(t *testing.T) {
	none, old := filepath.Join(t.TempDir(), "none.png"), filepath.Join(t.TempDir(), "old.png")
	if err := os.WriteFile(old, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, picture := range []string{none, old} {
		if err := run(io.Discard, quiet(t), lambda, 5, picture); err == nil || !strings.Contains(err.Error(), "not below 1e-08") {
			t.Errorf("error %v", err)
		}
	}
	if _, err := os.Stat(none); !os.IsNotExist(err) {
		t.Errorf("a picture of no training: %v", err)
	}
	if data, err := os.ReadFile(old); err != nil || string(data) != "old" {
		t.Errorf("the picture of before is %q: %v", data, err)
	}
}

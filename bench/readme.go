// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// pages are the files with sections that are made of the results, each between
// the markers <!-- bench:name --> and <!-- /bench:name -->.
var pages = []struct {
	path     string
	sections map[string]func(*Results) string
}{
	{"README.md", map[string]func(*Results) string{"pictures": pictures, "speed": speedSummary, "accuracy": accuracySummary}},
	{"docs/speed.md", map[string]func(*Results) string{"speed": speedSection, "sweep": sweepSection}},
	{"docs/accuracy.md", map[string]func(*Results) string{"accuracy": accuracySection}},
}

// pictures are the README's, each with what it shows in figures.
func pictures(r *Results) string {
	return fmt.Sprintf("![Time per element by shape and library](%s)\n\n%s\n\n![Error of the loss of a confident row by how far its largest logit is ahead](%s)\n\n%s\n",
		speedPicture, speedSentence(r), accuracyPicture, gapSentence(r))
}

// gapSentence says how far losses of confident rows are off, here and elsewhere.
func gapSentence(r *Results) string {
	lost := 0.0 // the gap from which on all others have no digit right
	for _, p := range r.Peers {
		if p.Name == ownName {
			continue
		}
		for _, g := range r.Gaps {
			if g.Peer == p.Name && g.ULP >= 0 && g.ULP < noDigit {
				lost = max(lost, g.Gap)
			}
		}
	}
	return fmt.Sprintf("The loss of a row whose label is ahead of all other classes: off by at most %s ulp here, however far it is ahead; "+
		"from a lead of %.0f on, no digit of any other is right. More: [accuracy](docs/accuracy.md).", largestGapError(r), math.Ceil(lost))
}

// speedSentence says how the package's times compare with the plain loop's and
// the fastest peer's over all that was timed on one thread.
func speedSentence(r *Results) string {
	var loop, others, slower []float64
	for _, t := range r.Speed {
		if t.Peer != ownName || t.Threads != 1 || t.Op == LinearGrad {
			continue
		}
		if l := r.find(t.Op, t.Shape, 1, "stable loop"); l != nil {
			loop = append(loop, l.Median/t.Median)
		}
		least := 0.0
		for _, p := range r.Peers {
			if o := r.find(t.Op, t.Shape, 1, p.Name); o != nil && !p.Floor && p.Name != ownName && (least == 0 || o.Median < least) {
				least = o.Median
			}
		}
		if least > 0 {
			others = append(others, least/t.Median)
			if least < t.Median {
				slower = append(slower, least/t.Median)
			}
		}
	}
	if len(loop) == 0 || len(others) == 0 {
		return ""
	}
	return fmt.Sprintf("%s to %s times as fast as the loop over `math.Exp`, and %s to %s times as fast as the fastest of all others, in the %d combinations of operation and shape that were timed on one thread; "+
		"slower than one of them in %d. More: [speed](docs/speed.md).",
		decimals(slices.Min(loop)), decimals(slices.Max(loop)), decimals(slices.Min(others)), decimals(slices.Max(others)), len(others), len(slower))
}

// updatePages writes the sections of all pages below dir, and says what it wrote.
func updatePages(dir string, r *Results) error {
	for _, page := range pages {
		path := filepath.Join(dir, filepath.FromSlash(page.path))
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := string(b)
		for name, section := range page.sections {
			if text, err = replaceSection(text, "bench:"+name, section(r)); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		if text == string(b) {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
		fmt.Println("written:", path)
	}
	return nil
}

// replaceSection replaces what is between <!-- name --> and <!-- /name -->,
// each of which must be there once.
func replaceSection(text, name, content string) (string, error) {
	open, end := "<!-- "+name+" -->", "<!-- /"+name+" -->"
	if strings.Count(text, open) != 1 || strings.Count(text, end) != 1 {
		return "", fmt.Errorf("want the markers %s and %s once each", open, end)
	}
	before, rest, _ := strings.Cut(text, open)
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("marker %s stands before %s", end, open)
	}
	return before + open + "\n\n" + strings.TrimSpace(content) + "\n\n" + end + after, nil
}

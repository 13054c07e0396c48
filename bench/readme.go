// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"os"
	"strings"
)

// updateReadme replaces what is between the markers of the README by the
// tables and pictures of the results.
func updateReadme(path string, r *Results) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := withResults(string(b), r)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if text == string(b) {
		return nil
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// withResults returns the README's text with both sections from the results.
func withResults(text string, r *Results) (string, error) {
	text, err := replaceSection(text, "bench:speed", speedSection(r))
	if err != nil {
		return "", err
	}
	return replaceSection(text, "bench:accuracy", accuracySection(r))
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

// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"example.org/logsoftmax/_gen/source"
)

// TestGenerated holds the package's files to what this program writes, and to
// being all of their kind.
func TestGenerated(t *testing.T) {
	want, err := files()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(source.Directory, name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, text) {
			t.Errorf("%s is not what go -C _gen run . writes", name)
		}
	}
	assembly, err := filepath.Glob(filepath.Join(source.Directory, "*.s"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range assembly {
		if want[filepath.Base(path)] == nil {
			t.Errorf("%s is written by nobody", path)
		}
	}
}

// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

package main

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"
)

// Machine says on what the figures were taken.
type Machine struct {
	CPU    string
	Vector string // the widest vectors that libraries use on it, where known
	L2     string // of one core
	Cores  int
	OS     string
	Arch   string
	Go     string
	Load   float64 // average over the minute before, of others
}

func thisMachine() Machine {
	return Machine{
		CPU:    field("/proc/cpuinfo", "model name", ":"),
		Vector: vector(),
		L2:     secondCache(),
		Cores:  runtime.NumCPU(),
		OS:     strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`),
		Arch:   runtime.GOOS + "/" + runtime.GOARCH,
		Go:     runtime.Version(),
		Load:   load(),
	}
}

// vector names the widest vectors of this processor that libraries use.
func vector() string {
	x := &cpu.X86
	switch {
	case x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL && x.HasFMA:
		return "AVX-512"
	case x.HasAVX2 && x.HasFMA:
		return "AVX2"
	case cpu.ARM64.HasASIMD:
		return "NEON"
	}
	return "vectors unknown"
}

// secondCache returns the size of a core's second cache, as 1024K.
func secondCache() string {
	if size := line("/sys/devices/system/cpu/cpu0/cache/index2/size"); size != "" {
		return size
	}
	out, _ := exec.Command("getconf", "LEVEL2_CACHE_SIZE").Output() // what some virtual machines alone tell
	bytes, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || bytes == 0 {
		return "unknown"
	}
	return strconv.Itoa(bytes>>10) + "K"
}

func load() float64 {
	average, _, _ := strings.Cut(line("/proc/loadavg"), " ")
	x, _ := strconv.ParseFloat(average, 64)
	return x
}

// field returns the value of the first line "key sep value" of a file, or "".
func field(path, key, sep string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), sep); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// line returns the first line of a file, or "".
func line(path string) string {
	b, _ := os.ReadFile(path)
	s, _, _ := strings.Cut(string(b), "\n")
	return s
}

// version returns the version of a module that this program was built with.
func version(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Version
		}
	}
	return ""
}

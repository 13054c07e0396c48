// Copyright ©2026 The logsoftmax Authors. All rights reserved.
// Use of this source code is governed by a BSD-style license that can be found in the LICENSE file.

// Command instructions counts what package logsoftmax executes for each entry on
// arm64, by its kernels and by its reference in Go, beside what LogSoftmax does,
// and prints it as a table:
//
//	go -C bench run ./instructions                    everything, some nine minutes
//	go -C bench run ./instructions -jobs Grad
//
// It needs no such machine, but qemu-aarch64-static. Counts are no times: what
// waits for memory or for another instruction counts as one.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"example.org/logsoftmax/bench/internal/sweep"
)

// shapes are those of the matrices: of few classes and of many.
var shapes = []struct{ rows, cols int }{{256, 10}, {8, 1000}}

// packages have the instructions that count.
var packages = []string{"example.org/logsoftmax.", "example.org/logsoftmax/internal/kernel."}

func main() {
	log.SetFlags(0)
	log.SetPrefix("instructions: ")
	jobs := flag.String("jobs", "", "regular expression: only the jobs it matches")
	job := flag.Int("job", -1, "do that job and nothing else")
	rows, cols, calls := flag.Int("rows", 1, "rows of the job"), flag.Int("cols", 1, "columns of the job"), flag.Int("calls", 1, "times to do the job")
	flag.Parse()
	if *job >= 0 {
		call := sweep.Jobs[*job].Call(*rows, *cols)
		for range *calls {
			call()
		}
		return
	}
	re, err := regexp.Compile(*jobs)
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "instructions")
	if err != nil {
		log.Fatal(err)
	}
	err = table(dir, re)
	_ = os.RemoveAll(dir)
	if err != nil {
		log.Fatal(err)
	}
}

// table prints the table of some jobs, and of the first, given a directory for
// programs.
func table(dir string, jobs *regexp.Regexp) error {
	kernels, err := build(dir, "kernels", "")
	if err != nil {
		return err
	}
	reference, err := build(dir, "reference", "purego")
	if err != nil {
		return err
	}
	head, rule := "|", "| --- |"
	for _, s := range shapes {
		head += fmt.Sprintf(" | %d×%d | Go reference", s.rows, s.cols)
		rule += " ---: | ---: |"
	}
	fmt.Println(head + " |\n" + rule)
	first := make([]float64, len(shapes))
	for i, j := range sweep.Jobs {
		if i > 0 && !jobs.MatchString(j.Name) {
			continue
		}
		line := "| " + j.Name
		for k, s := range shapes {
			ours, err := kernels.count(i, s.rows, s.cols)
			if err != nil {
				return err
			}
			of, err := reference.count(i, s.rows, s.cols)
			if err != nil {
				return err
			}
			if i == 0 {
				first[k] = ours
			}
			line += fmt.Sprintf(" | %.1f (%.1f) | %.0f", ours, ours/first[k], of)
		}
		fmt.Println(line + " |")
	}
	return nil
}

// A program is this one for arm64.
type program struct {
	path   string
	ranges string // of the addresses of the packages
}

func build(dir, name, tags string) (*program, error) {
	p := &program{path: filepath.Join(dir, name)}
	c := exec.Command("go", "build", "-tags", tags, "-o", p.path, "example.org/logsoftmax/bench/instructions")
	c.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64")
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return nil, err
	}
	symbols, err := exec.Command("go", "tool", "nm", "-n", "-size", p.path).Output()
	if err != nil {
		return nil, err
	}
	var ranges []string
	for line := range strings.Lines(string(symbols)) {
		f := strings.Fields(line)
		if len(f) == 4 && strings.EqualFold(f[2], "t") && isCounted(f[3]) {
			ranges = append(ranges, fmt.Sprintf("0x%s+%s", f[0], f[1]))
		}
	}
	p.ranges = strings.Join(ranges, ",")
	return p, nil
}

func isCounted(symbol string) bool {
	for _, p := range packages {
		if strings.HasPrefix(symbol, p) {
			return true
		}
	}
	return false
}

// count returns the instructions for each entry in a call: the third one's, for
// the first have memory to allocate.
func (p *program) count(job, rows, cols int) (float64, error) {
	two, err := p.executed(job, rows, cols, 2)
	if err != nil {
		return 0, err
	}
	three, err := p.executed(job, rows, cols, 3)
	if err != nil {
		return 0, err
	}
	return float64(three-two) / float64(rows*cols), nil
}

// executed returns the instructions in so many calls, which the emulator traces
// one by one.
func (p *program) executed(job, rows, cols, calls int) (n int, err error) {
	c := exec.Command("qemu-aarch64-static", "-singlestep", "-d", "exec,nochain", "-dfilter", p.ranges, p.path,
		"-job", fmt.Sprint(job), "-rows", fmt.Sprint(rows), "-cols", fmt.Sprint(cols), "-calls", fmt.Sprint(calls))
	c.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off")
	trace, err := c.StderrPipe()
	if err != nil {
		return 0, err
	}
	if err := c.Start(); err != nil {
		return 0, err
	}
	s := bufio.NewScanner(trace)
	for s.Scan() {
		if bytes.HasPrefix(s.Bytes(), []byte("Trace ")) {
			n++
		}
	}
	if err := s.Err(); err != nil {
		return 0, err
	}
	return n, c.Wait()
}

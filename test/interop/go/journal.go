// The journal of a candidate, as test/end-to-end/src/Journal.ts reads it: one JSON line per event, written synchronously,
// so that a killed process has written all that it did, with instants of the kernel's CLOCK_MONOTONIC, which all
// processes of a machine share.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

type journal struct {
	file     *os.File
	identity string
}

type entry struct {
	At       string `json:"at"`
	Identity string `json:"identity"`
	Pid      int    `json:"pid"`
	Event    string `json:"event"`
	Token    string `json:"token,omitempty"`
	Leader   string `json:"leader,omitempty"`
}

func openJournal(path, identity string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &journal{file: file, identity: identity}, nil
}

// work notes what leader work did: Started, Tick, Stopping or Ended.
func (j *journal) work(event, token string) {
	j.append(entry{Event: event, Token: token})
}

// status notes whom the candidate knows as the leader; it may be nobody.
func (j *journal) status(leader string) {
	if leader == j.identity {
		j.append(entry{Event: "Leading"})
		return
	}
	j.append(entry{Event: "Standby", Leader: leader})
}

func (j *journal) append(e entry) {
	e.At = strconv.FormatInt(monotonicNanos(), 10)
	e.Identity = j.identity
	e.Pid = os.Getpid()
	line, err := json.Marshal(e)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	if err != nil {
		// Work that nobody can see would make every test of overlaps pass.
		fmt.Fprintln(os.Stderr, "the journal cannot be written:", err)
		os.Exit(2)
	}
}

func monotonicNanos() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	return now.Nano()
}

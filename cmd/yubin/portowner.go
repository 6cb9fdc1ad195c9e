package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// portOwner names the process that listens on the port of address, as far as
// this system tells, or "".
func portOwner(address string) string {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	port, err := net.LookupPort("tcp", text)
	if err != nil {
		return ""
	}
	sockets := listening(port)
	if len(sockets) == 0 {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !sockets[target] {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, _ := os.ReadFile("/proc/" + pid + "/comm")
		return fmt.Sprintf("pid %s (%s)", pid, strings.TrimSpace(string(name)))
	}
	return ""
}

// listening are the sockets that listen on port, as /proc/PID/fd spells them.
func listening(port int) map[string]bool {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue // not Linux
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			// sl local_address rem_address st … inode is the tenth (proc(5))
			field := strings.Fields(lines.Text())
			if len(field) < 10 || field[3] != "0A" {
				continue
			}
			_, number, _ := strings.Cut(field[1], ":")
			if n, err := strconv.ParseUint(number, 16, 16); err == nil && int(n) == port {
				sockets["socket:["+field[9]+"]"] = true
			}
		}
		f.Close()
	}
	return sockets
}

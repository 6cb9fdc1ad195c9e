package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// passwordSource says where a password comes from.
type passwordSource struct{ stdin bool }

func (s *passwordSource) define(c *cobra.Command) {
	c.Flags().BoolVar(&s.stdin, "password-stdin", false, "Read the password from the first line of standard input.")
}

// password reads a password, asks for one at a terminal, or makes one.
func (p *program) password(source passwordSource) (secret string, generated bool, err error) {
	if source.stdin {
		line, err := bufio.NewReader(p.in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", false, err
		}
		secret = strings.TrimRight(line, "\r\n")
		if secret == "" {
			return "", false, errors.New(p.say("standard input holds no password"))
		}
		return secret, false, nil
	}
	if !isTerminal(p.in) {
		return rand.Text()[:20], true, nil
	}
	fd := int(p.in.(*os.File).Fd())
	ask := func(prompt string) (string, error) {
		fmt.Fprint(p.err, prompt)
		text, err := term.ReadPassword(fd)
		fmt.Fprintln(p.err)
		return string(text), err
	}
	first, err := ask(p.say("Password (empty makes one): "))
	if err != nil {
		return "", false, err
	}
	if first == "" {
		return rand.Text()[:20], true, nil
	}
	second, err := ask(p.say("Once more: "))
	if err != nil {
		return "", false, err
	}
	if first != second {
		return "", false, errors.New(p.say("the two are not the same"))
	}
	return first, false, nil
}

// askPassword asks for the password that user already has.
func (p *program) askPassword(user string) (string, error) {
	if !isTerminal(p.in) {
		return "", errors.New(p.say("the password of %s is missing: put it into YUBIN_PASSWORD", user))
	}
	fmt.Fprint(p.err, p.say("Password of %s: ", user))
	text, err := term.ReadPassword(int(p.in.(*os.File).Fd()))
	fmt.Fprintln(p.err)
	return string(text), err
}

func (p *program) tellPassword(secret string) {
	if secret != "" {
		p.tell("Password: %s", secret)
	}
}

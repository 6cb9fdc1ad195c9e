// Command yubin is a complete mail system: mail comes in by SMTP, is kept in
// one SQLite store and is read by POP3, by IMAP or in the browser.
//
// serve.go is the wiring diagram in code; start there. keys.go is everything
// that can be configured. What the commands do themselves is in the file
// named for the command.
//
// It is the only package that knows cobra and viper.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// What the shell is told.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// An exit is an error that has a code of its own and has been told already
// when it is silent.
type exit struct {
	code int
	err  error // nil when everything has been said
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// run is the whole program, with its streams.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	p := &program{in: in, out: out, err: errs, getenv: os.LookupEnv, environ: os.Environ()}
	p.tongue = tongueOf(args, p.getenv)
	ctx, stop := signalled()
	defer stop()
	root := p.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	c, err := root.ExecuteContextC(ctx)
	var e exit
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, syscall.EPIPE):
		return exitFailure // whoever read our output has seen enough
	case errors.As(err, &e):
		if e.err != nil {
			p.complain(e.err)
		}
		return e.code
	case !p.started:
		// cobra found fault with the command line itself.
		p.complain(err)
		fmt.Fprintln(errs, p.say("Run `%s --help` to see what there is.", c.CommandPath()))
		return exitUsage
	}
	p.complain(err)
	return exitFailure
}

// signalled returns a context that ends with the first SIGINT or SIGTERM. The
// second one ends the process at once.
func signalled() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	c := make(chan os.Signal, 2) // two: the second must not be lost while we deal with the first
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	// `yubin demo | head`: a failed write lets us clean up, the signal does not.
	signal.Ignore(syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		select {
		case <-c:
			cancel()
		case <-done:
			return
		}
		select {
		case <-c:
			os.Exit(exitFailure)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(c)
		close(done)
		cancel()
	}
}

package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/store"
)

// queuedMail is a recipient who still has to get a mail, for programs.
type queuedMail struct {
	ID        store.QueueID `json:"id"`
	State     string        `json:"state"`
	Sender    string        `json:"sender"`
	Recipient string        `json:"recipient"`
	Size      int64         `json:"size"`
	Created   time.Time     `json:"created"`
	Next      time.Time     `json:"next"`
	Attempts  int           `json:"attempts"`
	Reply     string        `json:"reply,omitempty"`
}

// state is a word for how a recipient stands.
func state(q store.Queued, now time.Time) string {
	switch {
	case q.Held:
		return "held"
	case q.Leased.After(now):
		return "sending"
	case q.Next.After(now):
		return "waiting"
	}
	return "due"
}

func newQueuedMail(q store.Queued) queuedMail {
	return queuedMail{q.ID, state(q, time.Now()), q.Sender, q.Recipient, q.Size, q.Created, q.Next, q.Attempts, q.Reply}
}

func (p *program) queueCommand() *cobra.Command {
	var asJSON bool
	list := &cobra.Command{
		Use:   "list",
		Short: "List the mail that waits for other servers",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withStore(c, true, func(ctx context.Context, s *store.Store) error {
				all, err := s.Queue(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					list := []queuedMail{}
					for _, q := range all {
						list = append(list, newQueuedMail(q))
					}
					return p.printJSON(list)
				}
				if len(all) == 0 {
					p.tell("No mail waits.")
					return nil
				}
				var t table
				t.head(p.say("ID\tSTATE\tNEXT\tTRIES\tSIZE\tFROM\tTO\tLAST ANSWER"))
				for _, q := range all {
					t.row(strconv.FormatInt(int64(q.ID), 10), state(q, time.Now()), q.Next.Local().Format(time.DateTime), strconv.Itoa(q.Attempts),
						size(q.Size).rough(), "<"+q.Sender+">", q.Recipient, shortened(q.Reply, 60))
				}
				return t.print(p.out)
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "Answer as JSON.")
	show := &cobra.Command{
		Use:     "show ID|ADDRESS|DOMAIN|all",
		Short:   "Show all that is known of a waiting mail, and its header",
		Example: "  yubin queue show 17",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withStore(c, true, func(ctx context.Context, s *store.Store) error { return p.showQueued(ctx, s, args[0]) })
		},
	}
	// change makes a command that does something to the recipients named.
	change := func(use, short string, do func(context.Context, *store.Store, []store.QueueID) (int, error)) *cobra.Command {
		return &cobra.Command{
			Use:     use + " ID|ADDRESS|DOMAIN|all ...",
			Short:   short,
			Example: "  yubin queue " + use + " 17\n  yubin queue " + use + " example.test",
			Args:    cobra.MinimumNArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				return p.withStore(c, true, func(ctx context.Context, s *store.Store) error {
					ids, err := p.chosen(ctx, s, args)
					if err != nil {
						return err
					}
					n, err := do(ctx, s, ids)
					if err != nil {
						return err
					}
					p.tell("Recipients changed: %d", n)
					return nil
				})
			},
		}
	}
	retry := change("retry", "Try waiting mail now", func(ctx context.Context, s *store.Store, ids []store.QueueID) (int, error) {
		return s.Retry(ctx, ids...)
	})
	hold := change("hold", "Keep waiting mail from being tried", func(ctx context.Context, s *store.Store, ids []store.QueueID) (int, error) {
		return s.Hold(ctx, true, ids...)
	})
	release := change("release", "Let held mail go again", func(ctx context.Context, s *store.Store, ids []store.QueueID) (int, error) {
		return s.Hold(ctx, false, ids...)
	})
	drop := change("drop", "Remove waiting mail without telling anybody", func(ctx context.Context, s *store.Store, ids []store.QueueID) (int, error) {
		return s.Drop(ctx, ids...)
	})
	return parent(&cobra.Command{Use: "queue", Short: "Mail that waits for other servers",
		Long: "Mail that waits for other servers. Each recipient has a number and a state: due,\nsending, waiting for its next attempt, or held until somebody lets it go."}, list, show, retry, hold, release, drop, p.queueAdvance())
}

// queueAdvance is for demonstrations: real mail must not be returned before
// its time.
func (p *program) queueAdvance() *cobra.Command {
	return &cobra.Command{
		Use:     "advance DURATION",
		Short:   "Let time pass for waiting mail, in a demonstration",
		Example: "  yubin queue advance 2h",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := time.ParseDuration(args[0])
			if err != nil || d <= 0 {
				return exit{exitUsage, errors.New(p.say("%q is not a duration such as 2h", args[0]))}
			}
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			if r, err := p.server(cfg); !cfg.Demo && (err != nil || !r.Demo) {
				return errors.New(p.say("that is for demonstrations only"))
			}
			return p.inStore(c.Context(), cfg, true, func(ctx context.Context, s *store.Store) error {
				n, err := s.AdvanceQueue(ctx, d)
				if err == nil {
					p.tell("Recipients changed: %d", n)
				}
				return err
			})
		},
	}
}

// chosen finds recipients by number, address, domain of the address, or all.
func (p *program) chosen(ctx context.Context, s *store.Store, args []string) (ids []store.QueueID, err error) {
	all, err := s.Queue(ctx)
	if err != nil {
		return nil, err
	}
	for _, arg := range args {
		found := false
		for _, q := range all {
			if arg == "all" || arg == strconv.FormatInt(int64(q.ID), 10) || strings.EqualFold(arg, q.Recipient) || strings.EqualFold(arg, q.Domain) {
				found = true
				if !slices.Contains(ids, q.ID) {
					ids = append(ids, q.ID)
				}
			}
		}
		if !found && arg != "all" {
			return nil, of(arg, errors.New(p.say("no such mail waits; `yubin queue list` shows what does")))
		}
	}
	return ids, nil
}

func (p *program) showQueued(ctx context.Context, s *store.Store, arg string) error {
	ids, err := p.chosen(ctx, s, []string{arg})
	if err != nil {
		return err
	}
	all, err := s.Queue(ctx)
	if err != nil {
		return err
	}
	for _, q := range all {
		if !slices.Contains(ids, q.ID) {
			continue
		}
		if err := p.printJSON(newQueuedMail(q)); err != nil {
			return err
		}
		body, err := s.OpenBody(ctx, q.Blob)
		if err != nil {
			return err
		}
		defer body.Close()
		const enough = 64 << 10
		text := make([]byte, min(body.Size(), enough))
		if _, err := body.ReadAt(text, 0); err != nil {
			return err
		}
		header, _, _ := strings.Cut(string(text), "\r\n\r\n")
		p.out.Write([]byte("\n" + strings.ReplaceAll(header, "\r\n", "\n") + "\n"))
	}
	return nil
}

// shortened is text that fits a column.
func shortened(text string, columns int) string {
	if columnsOf(text) <= columns {
		return text
	}
	letters := []rune(text)
	for len(letters) > 0 && columnsOf(string(letters)) > columns-1 {
		letters = letters[:len(letters)-1]
	}
	return string(letters) + "…"
}

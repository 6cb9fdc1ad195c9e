package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/store"
)

func (p *program) backupCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the mail store to a new file, also while the server runs",
		Long: "Copy the mail store, as it is at one moment, to a new file and verify the copy; mail comes\n" +
			"and goes meanwhile. To restore it, stop the server and put it in the place of yubin.db,\n" +
			"without yubin.db-wal and yubin.db-shm: mailboxes then get a new UIDVALIDITY and waiting\n" +
			"mail is held, both by themselves.",
		Example: "  yubin backup mail-$(date +%F).db",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.withStore(c, true, func(ctx context.Context, s *store.Store) error {
				file, err := filepath.Abs(args[0])
				if err != nil {
					return err
				}
				b, err := s.Backup(ctx, file)
				if err != nil {
					return err
				}
				if asJSON {
					return p.printJSON(struct {
						File     string `json:"file"`
						Size     int64  `json:"size"`
						Users    int    `json:"users"`
						Messages int64  `json:"messages"`
						Queued   int64  `json:"queued"`
					}{file, b.Size, b.Users, b.Messages, b.Queued})
				}
				p.tell("%s holds %d users, %d messages and %d waiting recipients in %s; it has been verified",
					args[0], b.Users, b.Messages, b.Queued, size(b.Size).rough())
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "Answer as JSON.")
	return c
}

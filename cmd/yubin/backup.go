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
		Use:   "backup [FILE]",
		Short: "Copy the mail store to a new file, also while the server runs",
		Long: "Copy the mail store, as it is at one moment, to a new file and verify the copy; mail comes\n" +
			"and goes meanwhile. Without FILE it goes into the folder backup, where the newest backup.keep\n" +
			"copies stay. To restore it, stop the server and put it in the place of yubin.db,\n" +
			"without yubin.db-wal and yubin.db-shm: mailboxes then get a new UIDVALIDITY and waiting\n" +
			"mail is held, both by themselves.",
		Example: "  yubin backup\n  yubin backup mail-$(date +%F).db",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			return p.inStore(c.Context(), cfg, true, func(ctx context.Context, s *store.Store) error {
				var k store.Kept
				var err error
				if len(args) == 0 {
					k, err = s.BackupInto(ctx, store.BackupDir(cfg.DataDir), cfg.BackupKeep)
				} else if k.File, err = filepath.Abs(args[0]); err == nil {
					k.Backup, err = s.Backup(ctx, k.File)
				}
				if err != nil {
					return err
				}
				b := k.Backup
				name := k.File
				if len(args) > 0 {
					name = args[0]
				}
				if asJSON {
					return p.printJSON(struct {
						File     string `json:"file"`
						Size     int64  `json:"size"`
						Users    int    `json:"users"`
						Messages int64  `json:"messages"`
						Queued   int64  `json:"queued"`
					}{k.File, b.Size, b.Users, b.Messages, b.Queued})
				}
				p.tell("%s holds %d users, %d messages and %d waiting recipients in %s; it has been verified",
					name, b.Users, b.Messages, b.Queued, size(b.Size).rough())
				if k.Removed > 0 {
					p.tell("Copies removed because of backup.keep: %d", k.Removed)
				}
				return nil
			})
		},
	}
	defineFlags(c.Flags(), "backup.keep")
	c.Flags().BoolVar(&asJSON, "json", false, "Answer as JSON.")
	return c
}

package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
)

//go:embed schema/*.sql
var schema embed.FS

// migrate brings the file up to this program's schema, one numbered step at a
// time, each in a transaction of its own with its new user_version: a process
// killed in between leaves an older but whole schema. It reports whether
// there was nothing in the file.
func migrate(ctx context.Context, c *sql.Conn) (made bool, err error) {
	steps, err := schema.ReadDir("schema")
	if err != nil {
		return false, err
	}
	for {
		var at int
		if _, err := c.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
			return made, fmt.Errorf("lock for migration: %w", err)
		}
		err := c.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&at)
		if err == nil && at > len(steps) {
			err = fmt.Errorf("%w (schema %d, this one knows %d)", ErrNewerSchema, at, len(steps))
		}
		if err == nil && at < len(steps) {
			var text []byte
			if text, err = schema.ReadFile("schema/" + steps[at].Name()); err == nil {
				_, err = c.ExecContext(ctx, fmt.Sprintf("%s;\nPRAGMA user_version = %d", text, at+1))
			}
			if err != nil {
				err = fmt.Errorf("migrate to schema %d: %w", at+1, err)
			}
		}
		if err == nil {
			_, err = c.ExecContext(ctx, `COMMIT`)
		}
		if err != nil {
			c.ExecContext(ctx, `ROLLBACK`)
			return made, err
		}
		if at == len(steps) {
			return made, nil
		}
		made = made || at == 0
	}
}

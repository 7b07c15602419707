import { type ErrorComponentProps, Link } from '@tanstack/react-router';
import { Button, buttonClass } from './button.tsx';
import { Empty, Failure, Page } from './page.tsx';

/** An address that leads nowhere. */
export function NotFound() {
  return (
    <Page title="There is no such page">
      <Empty
        title="Nothing is at this address"
        action={
          <Link to="/models" className={buttonClass('primary')}>
            Go to Models
          </Link>
        }
      >
        <span className="font-mono text-xs break-all">{location.pathname}</span> may be mistyped, or what it showed has
        another place now.
      </Empty>
    </Page>
  );
}

/** A page that could not be loaded or shown. The page is loaded anew: after an update its old scripts are gone. */
export function Broken({ error }: ErrorComponentProps) {
  return (
    <Page title="This page could not be shown">
      <Failure error={error} />
      <div className="flex gap-2">
        <Button look="primary" onClick={() => location.reload()}>
          Load it again
        </Button>
        <a href="/models" className={buttonClass()}>
          Go to Models
        </a>
      </div>
    </Page>
  );
}

# SPDX-License-Identifier: BSD-2-Clause

# Drives a page in a browser: t/node/browser.js and the scripts that use it.

package Test::Eventsync::Browser;

use warnings;
use strict;

use Exporter qw(import);
use IPC::Open2;
use JSON::PP;
use Test::More;

our @EXPORT = qw(browser browse browse_checks);

my ($modules, $chromium);

# Finds the browser in the build directory, or skips the test.
sub browser {
    my ($build) = @_;
    $modules = "$build/browser/node_modules";
    my ($node) = (`node --version 2>/dev/null` // '') =~ /^v(\d+)/;
    ($chromium) = grep { -x } '/usr/bin/chromium';
    plan skip_all => 'needs node, its packages and chromium: make test installs them'
        if !$node || !$chromium || !-d "$modules/axe-core" || !-d "$modules/playwright-core";
    return;
}

# Runs a script of t/node/ with what it is given; its checks are the test's.
sub browse {
    my ($script, %given) = @_;
    my ($status) = browse_checks($script, sub {
        my ($good, $name, $seen) = @_;
        ok($good, $name) or diag(ref $seen ? encode_json($seen) : $seen // '');
    }, %given);
    is($status, 0, 'the browser ends well');
    return;
}

# Runs a script, and calls `take` with each of its checks.  Returns its status.
sub browse_checks {
    my ($script, $take, %given) = @_;
    my $pid = open2(my $from, my $to, 'node', "t/node/$script", $modules, $chromium);
    print $to encode_json(\%given);
    close $to;
    while (my $line = <$from>) {
        $take->(@{ decode_json($line) });
    }
    waitpid $pid, 0;
    return $?;
}

1;

# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Places;

# Namespaces in which a test has Debian's paths, all ports and any address, so
# that it can follow a page to the letter.
#
#     use Test::Eventsync::Places;
#     own_places(qw(openssl));            # or the test is skipped
#     my $t = Test::Eventsync->new;
#     place($t, 'run', '/run');           # TESTDIR/run is /run from here on

use warnings;
use strict;

use File::Path qw(make_path);
use Test::More ();

use parent 'Exporter';
our @EXPORT = qw(own_places place);

# Runs the test again in a mount and a network namespace of its own.  The tools
# are needed besides.
sub own_places {
    my (@tools) = @_;
    my $skip = sub { Test::More::plan(skip_all => $_[0]) };

    $skip->('only root can make the places') if $> != 0;
    for my $tool (qw(unshare mount ip), @tools) {
        $skip->("$tool is not there")
            if system("command -v $tool >/dev/null 2>&1");
    }
    $skip->('not with an nginx of our own')
        if -e ($ENV{BUILD} || 'build') . '/nginx' || !-x '/usr/sbin/nginx';

    if (!$ENV{TEST_ES_INSIDE}) {
        my @unshare = qw(unshare --mount --net --propagation private);
        $skip->('namespaces cannot be made')
            if system("@unshare true 2>/dev/null");
        $ENV{TEST_ES_INSIDE} = 1;
        exec @unshare, $^X, (map { "-I$_" } @INC), $0, @ARGV;
    }
    system('ip', 'link', 'set', 'lo', 'up') == 0 or die "no loopback: $?\n";
}

# Puts a directory of the test's at the path; with { copy => 1 } it has what is
# there.
sub place {
    my ($t, $name, $path, %opts) = @_;
    my $dir = $t->testdir . "/$name";

    make_path($dir, $path);
    system('cp', '-a', "$path/.", $dir) == 0 or die "cannot copy $path\n"
        if $opts{copy};
    system('mount', '--bind', $dir, $path) == 0 or die "mount $path: $?\n";
}

1;

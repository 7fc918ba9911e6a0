# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Guides;

# The pages of docs/guides/: the files that they tell a reader to save, and the
# commands that they tell one to run.

use warnings;
use strict;

use File::Path qw(make_path);

use parent 'Exporter';
our @EXPORT_OK = qw(@GUIDES below guide missing parts place run_guide);

# Each page, with a command that succeeds where its programs can run.
my %needs = (
    c => 'pkg-config --exists libmicrohttpd libcurl jansson libcrypto',
    curl => 'jq --version',
    go => 'go version',
    java => 'javac -version && test -e /usr/share/java/jackson-databind.jar',
    node => 'node -e "process.exit(process.versions.node.split(\'.\')[0] < 18 ? 1 : 0)"',
    php => 'php -r "exit(function_exists(\'curl_init\') ? 0 : 1);"',
    python => 'python3 -c "import flask"',
    ruby => 'ruby -e "require \'sinatra/base\'; require \'puma\'"',
);
our @GUIDES = sort keys %needs;

# { files => { name => text }, receiver => command, poller => command }
sub guide {
    my ($name) = @_;
    my $page = do { local (@ARGV, $/) = "docs/guides/$name.md"; <> };
    my %guide = (page => $page, files =>
        { $page =~ /^Save this as `([\w.]+)`:\n\n```\w+\n(.*?)^```$/msg });

    for my $part ($page =~ /^(## (?:Receiver|Poller)\n.*?)(?=^## |\z)/msg) {
        my ($which) = $part =~ /^## (\w+)/;
        ($guide{ lc $which }) = $part =~ /^```sh\n((?!#!).*?)^```$/ms;
    }
    return \%guide;
}

# A command of a page: what builds the program, which may be '', and the program.
sub parts {
    my ($command) = @_;
    return $command =~ /\A(.*&& |)([^&]*)\z/s;
}

# The poller's command in the index, which is for a directory below the guide's.
sub below {
    my ($name) = @_;
    my $index = do { local (@ARGV, $/) = 'docs/guides/README.md'; <> };
    return ($index =~ /^\| \[$name\.md\].*\| `([^`]+)` \|$/m)[0];
}

# Why the programs of a page cannot run here; nothing if they can.
sub missing {
    my ($t, $name) = @_;
    return "needs: $needs{$name}"
        if system("($needs{$name}) >/dev/null 2>&1") != 0;
    return 'npm has not installed express: make receivers'
        if $name eq 'node' && !-d $t->build . '/receivers/node_modules/express';
    return;
}

# Saves the files of a page in a directory of this name; returns its path.
sub place {
    my ($t, $name, $guide) = @_;
    my $dir = $t->testdir . "/$name";
    make_path($dir);
    symlink $t->build . '/receivers/node_modules', "$dir/node_modules";
    $t->write_file("$name/$_", $guide->{files}{$_})
        for keys %{ $guide->{files} };
    return $dir;
}

# Runs a command of a page there.  The shell becomes the program, so that it
# can be ended by the pid.
sub run_guide {
    my ($t, $name, $command, %env) = @_;
    my ($build, $program) = parts($command);
    return $t->start($name, { env => { GOFLAGS => '-mod=mod',
        GOCACHE => $t->build . '/go-cache', APP_ENV => 'development', %env } },
        'sh', '-c', "cd '" . $t->testdir . "/$name' && ${build}exec $program");
}

1;

#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# t/apt-sources.sh, by which trees of other releases and nginx's sources are
# got from where this machine has its packages.

use warnings;
use strict;

use File::Temp qw(tempdir);
use Test::More;

my $dir = tempdir(CLEANUP => 1);

sub sources {
    my ($type, $release, %files) = @_;

    for my $name (keys %files) {
        mkdir "$dir/sources.list.d";
        open my $fh, '>', "$dir/$name" or die "$name: $!";
        print $fh $files{$name};
        close $fh;
    }
    local @ENV{qw(APT_DIR APT_RELEASE)} = ($dir, 'bookworm');
    my @lines = `sh t/apt-sources.sh $type $release`;
    is($?, 0, 'it ends well');
    chomp @lines;
    unlink map { "$dir/$_" } keys %files;
    return \@lines;
}

is_deeply(sources('deb', 'trixie'), [], 'no file, no source');

is_deeply(sources('deb', 'trixie', 'sources.list' => <<'END'),
# deb http://none.example/debian bookworm main
deb [arch=amd64 signed-by=/a] http://a.example/debian bookworm contrib main
deb http://a.example/debian/ bookworm-updates main
deb-src http://a.example/debian bookworm main
deb http://a.example/debian bookworm-backports main
deb http://a.example/debian-security bookworm-security main
deb http://vendor.example/apt bookworm main
deb http://a.example/debian sid main
deb http://a.example/debian bookworm contrib
END
    ['deb http://a.example/debian trixie main',
     'deb http://a.example/debian/ trixie-updates main',
     'deb http://a.example/debian-security trixie-security main'],
    'lines, with their release put in place of the own one');

is_deeply(sources('deb-src', 'bookworm',
    'sources.list.d/debian.sources' => <<'END',
Types: deb deb-src
# a comment
URIs: http://a.example/debian
Suites: bookworm
 bookworm-updates
Components: main non-free
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .

Types: deb
URIs: http://b.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://c.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://d.example/debian http://a.example/debian
Suites: bookworm
Components: main
END
    'sources.list.d/mirror.list' =>
        "deb mirror+file:$dir/mirrors bookworm main\n",
    mirrors => "http://e.example/debian\tpriority:1\n"),
    ['deb-src http://e.example/debian bookworm main',
     'deb-src http://a.example/debian bookworm main',
     'deb-src http://a.example/debian bookworm-updates main',
     'deb-src http://d.example/debian bookworm main'],
    'paragraphs, and a file that has the mirror');

done_testing();
